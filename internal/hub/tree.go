package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// file is one file of a commit.
type file struct {
	path string // with slashes
	size int64
	hash string // SHA-256 of a large file, git's SHA-1 of a small one; hexadecimal, and the name of the blob
}

// maxAnswer bounds an answer of the API, maxFiles all pages of a listing.
const (
	maxAnswer = 16 << 20
	maxFiles  = 1 << 18
)

var (
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)
	blobHash   = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	nextPage   = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)
)

// commit is what a revision stands for now.
func (c *Client) commit(ctx context.Context, ref Ref) (string, error) {
	var answer struct{ SHA string }
	address := fmt.Sprintf("%s/api/%s/%s/revision/%s", c.Endpoint, ref.kind(), ref.Repo, url.PathEscape(ref.Revision))
	if _, err := c.json(ctx, ref, address, &answer); err != nil {
		return "", err
	}
	if !commitHash.MatchString(answer.SHA) {
		return "", fmt.Errorf("%s: %s names no commit: is HF_ENDPOINT a hub?", ref, address)
	}
	return answer.SHA, nil
}

// tree lists the files of a commit: all of a model, and of a data set, which may have very many, those in one folder.
func (c *Client) tree(ctx context.Context, ref Ref, commit string) ([]file, error) {
	address := fmt.Sprintf("%s/api/%s/%s/tree/%s", c.Endpoint, ref.kind(), ref.Repo, commit)
	if dir := path.Dir(ref.Path); ref.Dataset && dir != "." {
		address += "/" + escape(dir)
	}
	if !ref.Dataset {
		address += "?recursive=true"
	}
	var files []file
	for address != "" {
		var page []struct {
			Type, Path, OID string
			Size            int64
			LFS             *struct {
				OID  string
				Size int64
			}
		}
		next, err := c.json(ctx, ref, address, &page)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Type != "file" {
				continue
			}
			f := file{e.Path, e.Size, e.OID}
			if e.LFS != nil {
				f.hash, f.size = e.LFS.OID, e.LFS.Size
			}
			// Both become names of files here and must not lead out of the cache.
			if f.size < 0 || !blobHash.MatchString(f.hash) {
				return nil, fmt.Errorf("%s: the hub lists a file %.80q of %d bytes with the hash %.80q: is HF_ENDPOINT, %s, a hub?", ref, f.path, f.size, f.hash, c.Endpoint)
			}
			if validPath(f.path) {
				files = append(files, f)
			}
		}
		if len(page) == 0 {
			break
		}
		if len(files) > maxFiles {
			return nil, fmt.Errorf("%s has more than %d files in one folder: that is no model or data set that finch can read", ref, maxFiles)
		}
		address = next
	}
	return files, nil
}

// json asks the API and decodes the answer. next is the address of the next page, or empty.
func (c *Client) json(ctx context.Context, ref Ref, address string, into any) (next string, err error) {
	err = c.retry(ctx, func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, c.stall)
		defer cancel()
		resp, err := c.get(ctx, ref, address, nil)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		switch {
		case err != nil:
			return false, temporary{err: fmt.Errorf("%s: %s: %w", ref, address, err)}
		case len(body) > maxAnswer:
			return false, fmt.Errorf("%s: %s answers with more than %d MiB: is HF_ENDPOINT a hub?", ref, address, maxAnswer>>20)
		}
		if err := json.Unmarshal(body, into); err != nil {
			return false, fmt.Errorf("%s: %s does not answer as a hub does: %w: check HF_ENDPOINT", ref, address, err)
		}
		next = ""
		if m := nextPage.FindStringSubmatch(strings.Join(resp.Header.Values("Link"), ",")); m != nil {
			u, err := resp.Request.URL.Parse(m[1])
			if err != nil || u.String() == address {
				return false, fmt.Errorf("%s: %s has no next page: is HF_ENDPOINT a hub?", ref, address)
			}
			next = u.String()
		}
		return false, nil
	})
	return next, err
}

// escape makes a path within a repository part of an address.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
