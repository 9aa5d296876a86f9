package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sector is what a disk writes whole or not at all, which SQLite relies on too.
const sector = 512

// Disk is a folder on a disk that keeps what is synced and may lose anything else. It promises no more than POSIX does: syncing a
// file does not make its name durable, which the folder's sync does; what is not synced may reach the disk in any order, in
// part, or torn between two sectors. A rename is there or is not.
type Disk struct{ root *node }

// node is a file or a folder: its state at the last sync, and what happened since.
type node struct {
	folder  bool
	content []byte           // of a file
	names   map[string]*node // of a folder
	pending []change
}

// change is a step from one state of a node to another: an Op on a file, or new meanings of names in a folder, nil for none.
type change struct {
	op    Op
	names map[string]*node
}

// Load is a folder with all that it has synced.
func Load(folder string) (*Disk, error) {
	root, err := load(folder)
	return &Disk{root}, err
}

func load(folder string) (*node, error) {
	n := newFolder()
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		at := filepath.Join(folder, e.Name())
		child := &node{}
		if e.IsDir() {
			child, err = load(at)
		} else {
			child.content, err = os.ReadFile(at)
		}
		if err != nil {
			return nil, err
		}
		n.names[e.Name()] = child
	}
	return n, nil
}

func newFolder() *node { return &node{folder: true, names: map[string]*node{}} }

// Apply makes a change. Those that a real disk refuses change nothing.
func (d *Disk) Apply(op Op) error {
	at := d.find(op.Path)
	parent, name := d.find(path.Dir(op.Path)), path.Base(op.Path)
	switch op.Kind {
	case Open, Print:
	case Write, Truncate:
		if at == nil {
			return fmt.Errorf("%v: there is no such file", op)
		}
		at.pending = append(at.pending, change{op: op})
	case Sync:
		if at == nil {
			return fmt.Errorf("%v: there is no such file", op)
		}
		for _, c := range at.pending {
			at.apply(c)
		}
		at.pending = nil
	default:
		if parent == nil {
			return fmt.Errorf("%v: there is no such folder", op)
		}
		switch {
		case op.Kind == Create && at == nil:
			parent.change(map[string]*node{name: {}})
		case op.Kind == Mkdir && at == nil:
			parent.change(map[string]*node{name: newFolder()})
		case op.Kind == Remove && at != nil && len(at.now().names) == 0:
			parent.change(map[string]*node{name: nil})
		case op.Kind == Rename && at != nil:
			if path.Dir(op.Path) != path.Dir(op.To) {
				return fmt.Errorf("%v: not within one folder", op)
			}
			parent.change(map[string]*node{name: nil, path.Base(op.To): at})
		}
	}
	return nil
}

func (n *node) change(names map[string]*node) { n.pending = append(n.pending, change{names: names}) }

// find follows a path through the names as processes see them.
func (d *Disk) find(name string) *node {
	at := d.root
	if name == "." {
		return at
	}
	for part := range strings.SplitSeq(name, "/") {
		if at == nil || !at.folder {
			return nil
		}
		at = at.now().names[part]
	}
	return at
}

// apply takes the synced state of a node one step further.
func (n *node) apply(c change) {
	for name, meaning := range c.names {
		if meaning == nil {
			delete(n.names, name)
		} else {
			n.names[name] = meaning
		}
	}
	switch c.op.Kind {
	case Write:
		n.resize(max(int64(len(n.content)), c.op.Offset+int64(len(c.op.Data))))
		copy(n.content[c.op.Offset:], c.op.Data)
	case Truncate:
		n.resize(c.op.Offset)
	}
}

func (n *node) resize(size int64) {
	if size <= int64(len(n.content)) {
		n.content = n.content[:size]
		return
	}
	n.content = append(n.content, make([]byte, size-int64(len(n.content)))...)
}

// after is the node with some changes since the last sync, which itself stays as it is.
func (n *node) after(changes []change) *node {
	if len(changes) == 0 {
		return n
	}
	c := &node{folder: n.folder, content: slices.Clone(n.content), names: maps.Clone(n.names)}
	for _, change := range changes {
		c.apply(change)
	}
	return c
}

// now is the node as processes see it.
func (n *node) now() *node { return n.after(n.pending) }

// survivors draws which changes since the last sync a lost power supply leaves.
func (n *node) survivors(rng *rand.Rand) []change {
	if len(n.pending) == 0 {
		return nil
	}
	switch rng.IntN(4) {
	case 0:
		return nil
	case 1:
		return n.pending
	case 2: // the first of them, and of the next the first sectors
		k := rng.IntN(len(n.pending))
		left := slices.Clone(n.pending[:k])
		parts := sectors(n.pending[k])
		return append(left, parts[:rng.IntN(len(parts))]...)
	default: // those that the disk happened to have written
		var left []change
		for _, c := range n.pending {
			for _, part := range sectors(c) {
				if rng.IntN(2) == 0 {
					left = append(left, part)
				}
			}
		}
		return left
	}
}

// sectors cuts a write where a disk may tear it.
func sectors(c change) (parts []change) {
	if c.op.Kind != Write || len(c.op.Data) == 0 {
		return []change{c}
	}
	for start, data := c.op.Offset, c.op.Data; len(data) > 0; {
		n := min(int64(len(data)), sector-start%sector)
		parts = append(parts, change{op: Op{Kind: Write, Offset: start, Data: data[:n]}})
		start, data = start+n, data[n:]
	}
	return parts
}

// Now writes the files as processes see them into a folder.
func (d *Disk) Now(folder string) error {
	return d.root.write(folder, (*node).now)
}

// Crash writes the files that a lost power supply could leave at this moment into a folder, as drawn from rng.
func (d *Disk) Crash(folder string, rng *rand.Rand) error {
	return d.root.write(folder, func(n *node) *node { return n.after(n.survivors(rng)) })
}

// write makes the files of a folder, each node in a state of it.
func (n *node) write(at string, state func(*node) *node) error {
	s := state(n)
	if !s.folder {
		return os.WriteFile(at, s.content, 0o666)
	}
	if err := os.Mkdir(at, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.names)) { // in one order, for the draws
		if err := s.names[name].write(filepath.Join(at, name), state); err != nil {
			return err
		}
	}
	return nil
}
