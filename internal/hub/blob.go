package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// incomplete is what there is of a blob, and its hash so far.
type incomplete struct {
	*os.File
	of   file
	hash hash.Hash
	n    int64
}

// openIncomplete opens what an earlier pull has left, or begins anew.
func openIncomplete(path string, of file) (*incomplete, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	b := &incomplete{File: f, of: of}
	b.begin()
	if b.n, err = io.Copy(b.hash, f); err == nil && b.n > of.size {
		err = b.restart()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

// begin begins the hash: of a large file, SHA-256 of its content; of a small one what git calls the blob.
func (b *incomplete) begin() {
	b.n = 0
	if len(b.of.hash) == hex.EncodedLen(sha256.Size) {
		b.hash = sha256.New()
		return
	}
	b.hash = sha1.New()
	fmt.Fprintf(b.hash, "blob %d\x00", b.of.size)
}

func (b *incomplete) restart() error {
	b.begin()
	if err := b.Truncate(0); err != nil {
		return err
	}
	_, err := b.Seek(0, io.SeekStart)
	return err
}

// Write appends.
func (b *incomplete) Write(p []byte) (int, error) {
	n, err := b.File.Write(p)
	b.hash.Write(p[:n])
	b.n += int64(n)
	return n, err
}

// whole says whether the content is what the hub says.
func (b *incomplete) whole() bool {
	return b.n == b.of.size && hex.EncodeToString(b.hash.Sum(nil)) == b.of.hash
}
