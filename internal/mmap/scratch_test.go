package mmap

import (
	"bytes"
	"os"
	"testing"
)

func TestScratch(t *testing.T) {
	dir := t.TempDir()
	s, err := NewScratch(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte("finch")
	if _, err := s.WriteAt(want, 70000); err != nil {
		t.Fatal(err)
	}
	if got := s.Bytes(); len(got) != 1<<20 || !bytes.Equal(got[70000:70005], want) || got[0] != 0 {
		t.Errorf("%d bytes, %q where %q was written", len(got), got[70000:70005], want)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the scratch file shows in its folder: %v, %v", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := NewScratch(dir+"/none", 1); err == nil {
		t.Error("no error in a folder that is not there")
	}
}

// What advice is given on is never lost, mapped from a file or not.
func TestAdvise(t *testing.T) {
	data := bytes.Repeat([]byte("beak"), 10000)
	want := bytes.Clone(data)
	for _, a := range []Advice{WillNeed, NotNeeded, WillNeed} {
		for _, part := range [][]byte{nil, data[:1], data[1:5000], data} {
			Advise(part, a)
		}
	}
	if !bytes.Equal(data, want) {
		t.Error("the content has changed")
	}
	if Touch(data) != int64(len(data)) || Touch(nil) != 0 {
		t.Error("Touch returns another length")
	}
}
