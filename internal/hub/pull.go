package hub

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/internal/resources"
	"github.com/finch-llm/finch/model/safetensors"
)

// Fetch is the path of what ref names: from the cache if it is there, as of when it was pulled, else from the hub.
func (c *Client) Fetch(ctx context.Context, ref Ref) (string, error) {
	path, vague, err := c.find(ref)
	if c.Offline || err == nil && !vague {
		return path, err
	}
	return c.Pull(ctx, ref)
}

// Pull asks the hub what ref names now, brings what the cache has not got of it, and returns its path. What has come when
// it fails is kept for the next time.
func (c *Client) Pull(ctx context.Context, ref Ref) (string, error) {
	if c.Offline {
		return "", fmt.Errorf("%s is not pulled: HF_HUB_OFFLINE is set: unset it", ref)
	}
	commit, err := c.commit(ctx, ref)
	if err != nil {
		return "", err
	}
	tree, err := c.tree(ctx, ref, commit)
	if err != nil {
		return "", err
	}
	names := make([]string, len(tree))
	for i, f := range tree {
		names[i] = f.path
	}
	chosen, err := choose(ref, names)
	if err != nil {
		return "", fmt.Errorf("%s: the repository has %w", ref, err)
	}
	dir := c.snapshot(ref, commit)
	path := filepath.Join(dir, filepath.FromSlash(chosen[len(chosen)-1]))
	if slices.Contains(chosen, safetensors.IndexName) {
		if err := c.bringAll(ctx, ref, commit, tree, chosen); err != nil {
			return "", err
		}
		if chosen, err = safetensors.Shards(path); err != nil {
			return "", err
		}
		path = dir
	} else if filepath.Base(path) == safetensors.SingleName {
		path = dir
	}
	if err := c.bringAll(ctx, ref, commit, tree, chosen); err != nil {
		return "", err
	}
	if ref.Revision != commit { // last: until here the revision is what it was in the cache
		if err := c.putRef(ref, commit); err != nil {
			return "", err
		}
	}
	return path, nil
}

// bringAll brings files of a commit, if there is room for them.
func (c *Client) bringAll(ctx context.Context, ref Ref, commit string, tree []file, names []string) error {
	ref.Path = "" // messages name the file that they are about
	var files []file
	var missing int64
	for _, name := range names {
		i := slices.IndexFunc(tree, func(f file) bool { return f.path == name })
		if i < 0 {
			return fmt.Errorf("%s: %s names the file %s, which the repository has not got: the model is not whole on the hub", ref, safetensors.IndexName, name)
		}
		f := tree[i]
		files = append(files, f)
		if !c.there(ref, commit, f) {
			missing += f.size
			if info, err := os.Stat(c.blob(ref, f.hash) + ".incomplete"); err == nil {
				missing -= min(info.Size(), f.size)
			}
		}
	}
	if free, ok := resources.FreeDisk(c.Cache); ok && missing > free {
		return fmt.Errorf("%s: %d MiB are to come, %d MiB are free in %s: make room, or set HF_HUB_CACHE to another folder", ref, missing>>20, free>>20, c.Cache)
	}
	for _, f := range files {
		if !c.there(ref, commit, f) {
			if err := c.bring(ctx, ref, commit, f); err != nil {
				return err
			}
		}
		if err := c.link(ref, commit, f); err != nil {
			return err
		}
	}
	return nil
}

// putRef notes what commit a branch or tag stands for.
func (c *Client) putRef(ref Ref, commit string) error {
	path := filepath.Join(c.folder(ref), "refs", filepath.FromSlash(ref.Revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, commit)
		return err
	})
}
