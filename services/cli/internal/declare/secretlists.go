package declare

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sameSecrets reports whether each secret of one list has a partner in the other that ends at the same time. It gives the declared
// secrets the ids of their partners, so that writing the list keeps the stored secrets.
func (c comparison) sameSecrets(want, have protoreflect.List) bool {
	same := want.Len() == have.Len()
	for i, h := range partners(want, have) {
		w := want.Get(i).Message()
		if h == nil {
			same = false
			continue
		}
		fields := w.Descriptor().Fields()
		id, expire, kind, value := fields.ByName("id"), fields.ByName("expire_time"), fields.ByName("kind"), fields.ByName("secret")
		w.Set(id, h.Get(id))
		if w.Get(value).String() != "" && c.secrets {
			same = false
			continue
		}
		w.Clear(value)
		same = same && w.Has(expire) == h.Has(expire) && w.Get(expire).Equal(h.Get(expire)) && (!w.Has(kind) || w.Get(kind).Equal(h.Get(kind)))
	}
	return same
}

// partners finds the stored secret of each declared one: the one with its id, or else the first without a partner. An id that is not
// stored is from another installation and counts as none.
func partners(want, have protoreflect.List) []protoreflect.Message {
	out, taken := make([]protoreflect.Message, want.Len()), make([]bool, have.Len())
	for _, byID := range []bool{true, false} {
		for i := range want.Len() {
			for j := 0; j < have.Len() && out[i] == nil; j++ {
				if !taken[j] && (!byID || idOf(want.Get(i).Message()) != "" && idOf(want.Get(i).Message()) == idOf(have.Get(j).Message())) {
					out[i], taken[j] = have.Get(j).Message(), true
				}
			}
		}
	}
	return out
}

// idOf is the id of a message that has one.
func idOf(m protoreflect.Message) string {
	if fd := m.Descriptor().Fields().ByName("id"); fd != nil {
		return m.Get(fd).String()
	}
	return ""
}
