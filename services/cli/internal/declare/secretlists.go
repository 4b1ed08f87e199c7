package declare

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sameSecrets takes two lists of secrets for equal if each of one has its partner in the other, ending at the same time. The
// wanted ones get their partners' ids, so that writing the list keeps what is stored.
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

// partners finds to each wanted secret the stored one: that of its id, else the first that is nobody's. An id that is not stored
// is one of another installation, and counts as none.
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
