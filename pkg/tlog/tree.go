package tlog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

func factory() *compact.RangeFactory { return &compact.RangeFactory{Hash: hashChildren} }

// hashChildren is the hash of two subtrees, as RFC 6962 has it. rfc6962.HashChildren does the same by way of a hash that it makes anew.
func hashChildren(left, right []byte) []byte {
	const room = 1 + 2*sha256.Size
	b := append(make([]byte, 0, room), rfc6962.RFC6962NodeHashPrefix)
	sum := sha256.Sum256(append(append(b, left...), right...))
	return sum[:]
}

// Tree is the right border of a tree, to which leaves are appended.
type Tree struct{ r *compact.Range }

// NewTree is a tree of a size with the hashes of its perfect subtrees, from left to right.
func NewTree(size uint64, left [][]byte) (*Tree, error) {
	for _, h := range left {
		if len(h) != rfc6962.DefaultHasher.Size() {
			return nil, errors.New("a hash of a subtree has another length")
		}
	}
	r, err := factory().NewRange(0, size, slices.Clone(left))
	if err != nil {
		return nil, fmt.Errorf("open the tree: %w", err)
	}
	return &Tree{r}, nil
}

// Append appends a leaf.
func (t *Tree) Append(e Entry) error { return t.r.Append(e.Hash(), nil) }

// Size is how many leaves there are.
func (t *Tree) Size() uint64 { return t.r.End() }

// Left are the hashes of the perfect subtrees, from left to right.
func (t *Tree) Left() [][]byte { return slices.Clone(t.r.Hashes()) }

// Root is the hash of the whole tree.
func (t *Tree) Root() ([]byte, error) {
	if t.Size() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return t.r.GetRootHash(nil)
}

// Is reports whether the tree has a size and hashes.
func (t *Tree) Is(size uint64, left [][]byte) bool {
	return t.Size() == size && slices.EqualFunc(t.r.Hashes(), left, bytes.Equal)
}

// Inclusion proves that leaves are in the tree that segments end with. The segments follow each other, and hold the leaves.
func Inclusion(segments []Segment, indexes []uint64) (proofs [][][]byte, err error) {
	first := segments[0]
	nodes := map[compact.NodeID][]byte{}
	for i, id := range compact.RangeNodes(0, first.Start, nil) {
		if i >= len(first.Left) {
			return nil, errors.New("a segment lacks hashes of the tree")
		}
		nodes[id] = first.Left[i]
	}
	t, err := NewTree(first.Start, first.Left)
	if err != nil {
		return nil, err
	}
	visit := func(id compact.NodeID, hash []byte) { nodes[id] = hash }
	for _, s := range segments {
		for _, e := range s.Entries {
			hash := e.Hash()
			visit(compact.NewNodeID(0, t.Size()), hash)
			if err := t.r.Append(hash, visit); err != nil {
				return nil, err
			}
		}
	}
	for _, index := range indexes {
		p, err := inclusion(nodes, index, t.Size())
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

func inclusion(nodes map[compact.NodeID][]byte, index, size uint64) ([][]byte, error) {
	wanted, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d of %d: %w", index, size, err)
	}
	hashes := make([][]byte, 0, len(wanted.IDs))
	for _, id := range wanted.IDs {
		h, ok := nodes[id]
		if !ok {
			return nil, fmt.Errorf("prove leaf %d of %d: a hash of the tree is not stored", index, size)
		}
		hashes = append(hashes, h)
	}
	return wanted.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}
