package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/internal/filelock"
)

// bring makes sure that a blob is in the cache.
func (c *Client) bring(ctx context.Context, ref Ref, commit string, f file) error {
	release, err := c.lock(ctx, ref, f)
	if err != nil {
		return err
	}
	defer release()
	blob := c.blob(ref, f.hash)
	if c.there(ref, commit, f) { // another pull has just brought it
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
		return err
	}
	b, err := openIncomplete(blob+".incomplete", f)
	if err != nil {
		return err
	}
	defer b.Close()
	if c.Progress != nil {
		c.Progress.Begin(f.path, f.size)
		c.Progress.At(b.n)
		defer c.Progress.End()
	}
	if err := c.download(ctx, ref, commit, b); err != nil {
		return err
	}
	if err := b.Sync(); err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	return atomicfile.Rename(b.Name(), blob)
}

// lock waits until no other pull, of finch or huggingface_hub, brings the blob.
func (c *Client) lock(ctx context.Context, ref Ref, f file) (release func(), err error) {
	path := filepath.Join(c.Cache, ".locks", folderName(ref), f.hash+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		l, err := filelock.Acquire(path)
		if err == nil {
			return func() { l.Release() }, nil
		}
		if held := new(filelock.HeldError); !errors.As(err, &held) {
			return nil, err
		}
		if told {
			err = c.wait(ctx, pollLock)
		} else {
			err = c.waiting(ctx, pollLock, fmt.Sprintf("%s: %v, which brings the same file: waiting for it", f.path, err))
		}
		if err != nil {
			return nil, err
		}
	}
}

const pollLock = 200 * time.Millisecond

// download completes a blob, from where it is.
func (c *Client) download(ctx context.Context, ref Ref, commit string, b *incomplete) error {
	address := fmt.Sprintf("%s/%s/resolve/%s/%s", c.Endpoint, ref.page(), commit, escape(b.of.path))
	damaged := false
	return c.retry(ctx, func() (gotOn bool, err error) {
		before := b.n
		if b.n < b.of.size {
			if err := c.receive(ctx, ref, address, b); err != nil {
				return b.n > before, err
			}
		}
		if b.whole() {
			return true, nil
		}
		if err := b.restart(); err != nil {
			return false, err
		}
		err = fmt.Errorf("%s: %s has come damaged: it does not have the hash %.12s… that the hub says", ref, b.of.path, b.of.hash)
		if damaged {
			return false, fmt.Errorf("%w, twice: something between here and %s changes it", err, c.Endpoint)
		}
		damaged = true
		return false, temporary{err: err}
	})
}

// receive asks once for what is missing of a blob, and appends what comes.
func (c *Client) receive(ctx context.Context, ref Ref, address string, b *incomplete) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(c.stall, func() { cancel(fmt.Errorf("nothing has come for %v", c.stall)) })
	defer stalled.Stop()

	// again begins anew when what comes is not the rest of what is there.
	again := func(reason string) error {
		if err := b.restart(); err != nil {
			return err
		}
		return temporary{err: fmt.Errorf("%s: %s: %s", ref, b.of.path, reason)}
	}
	header := http.Header{}
	if b.n > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", b.n))
	}
	resp, err := c.get(ctx, ref, address, header)
	if errors.Is(err, errRange) {
		return again(err.Error())
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if hash := hubHash(resp); len(hash) == len(b.of.hash) && hash != b.of.hash {
		return fmt.Errorf("%s: %s has changed on the hub meanwhile: pull again", ref, b.of.path)
	}
	switch rest := fmt.Sprintf("bytes %d-%d/%d", b.n, b.of.size-1, b.of.size); {
	case b.n == 0 || resp.Header.Get("Content-Range") == rest:
	case resp.StatusCode == http.StatusPartialContent:
		return again("the hub sends other bytes than were asked for")
	default: // it sends the whole file
		if err := b.restart(); err != nil {
			return err
		}
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := resp.Body.Read(buffer[:min(int64(len(buffer)), b.of.size-b.n)]) // no more: the hash judges them
		stalled.Reset(c.stall)
		if _, err := b.Write(buffer[:n]); err != nil {
			return err
		}
		if c.Progress != nil {
			c.Progress.At(b.n)
		}
		switch {
		case b.n == b.of.size:
			return nil
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
			fallthrough
		case err != nil:
			return temporary{err: fmt.Errorf("%s: %s broke off after %d of %d bytes: %w", ref, b.of.path, b.n, b.of.size, err)}
		}
	}
}

// hubHash is the hash that the hub itself, not one that it redirects to, gives a file in an answer; empty if it gives none.
func hubHash(resp *http.Response) string {
	hash := ""
	for r := resp; r != nil; r = r.Request.Response {
		etag := r.Header.Get("X-Linked-Etag")
		if etag == "" && r.Request.Response == nil {
			etag = r.Header.Get("Etag")
		}
		etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
		if blobHash.MatchString(etag) {
			hash = etag
		}
	}
	return hash
}
