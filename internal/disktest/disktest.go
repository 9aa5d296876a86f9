// Package disktest stands between a process and its disk, for tests. Run shows every change that a process makes to the files
// of a folder, in their order, before it is made, and may have it fail (Linux). Disk replays such changes and says what a
// lost power supply could have left of them.
package disktest

import "fmt"

// Kind is what an Op does.
type Kind string

const (
	Create   Kind = "create"   // an empty file
	Open     Kind = "open"     // a file that is there, for writing
	Write    Kind = "write"    // Data at Offset
	Truncate Kind = "truncate" // to Offset bytes, or up to them with zeros
	Sync     Kind = "sync"     // a file, or a folder
	Rename   Kind = "rename"   // to To, in the place of what has that name
	Remove   Kind = "remove"   // a file, or an empty folder
	Mkdir    Kind = "mkdir"
	Print    Kind = "print" // Data on stdout or stderr: where the process is
)

// Op is one change of the files in a folder, or something printed.
type Op struct {
	Kind     Kind
	Path, To string // relative to the folder; "." is the folder itself
	Offset   int64
	Data     []byte
}

func (o Op) String() string {
	switch o.Kind {
	case Write:
		return fmt.Sprintf("write %s: %d bytes at %d", o.Path, len(o.Data), o.Offset)
	case Truncate:
		return fmt.Sprintf("truncate %s to %d bytes", o.Path, o.Offset)
	case Rename:
		return fmt.Sprintf("rename %s to %s", o.Path, o.To)
	case Print:
		return fmt.Sprintf("print %q", o.Data)
	}
	return string(o.Kind) + " " + o.Path
}
