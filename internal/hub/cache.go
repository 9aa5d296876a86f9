package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/model/safetensors"
)

// folder is a repository in the cache.
func (c *Client) folder(ref Ref) string { return filepath.Join(c.Cache, folderName(ref)) }

func folderName(ref Ref) string { return ref.kind() + "--" + strings.ReplaceAll(ref.Repo, "/", "--") }

// snapshot is the folder of a commit's files.
func (c *Client) snapshot(ref Ref, commit string) string {
	return filepath.Join(c.folder(ref), "snapshots", commit)
}

func (c *Client) blob(ref Ref, hash string) string {
	return filepath.Join(c.folder(ref), "blobs", hash)
}

// there says whether a file is in the cache whole; the names of the commit and the blob say what is in it.
func (c *Client) there(ref Ref, commit string, f file) bool {
	for _, path := range []string{c.blob(ref, f.hash), filepath.Join(c.snapshot(ref, commit), filepath.FromSlash(f.path))} {
		if info, err := os.Stat(path); err == nil && info.Size() == f.size {
			return true
		}
	}
	return false
}

// find is the path of what ref names if all of it is in the cache: the folder of a model in safetensors files, else a file.
// It is vague if the hub has to be asked what ref names: which GGUF file of a repository. An error says how to bring it.
func (c *Client) find(ref Ref) (path string, vague bool, err error) {
	missing := func(why error) error {
		advice := "'finch pull " + ref.String() + "' brings it"
		if c.Offline {
			advice = "unset HF_HUB_OFFLINE, and " + advice
		}
		return fmt.Errorf("%s is not in the cache %s, or not all of it (%w): %s", ref, c.Cache, why, advice)
	}
	commit := ref.Revision
	if !commitHash.MatchString(commit) {
		text, err := os.ReadFile(filepath.Join(c.folder(ref), "refs", filepath.FromSlash(ref.Revision)))
		if err != nil {
			return "", false, missing(fmt.Errorf("no pull has asked for %q", ref.Revision))
		}
		if commit = strings.TrimSpace(string(text)); !commitHash.MatchString(commit) {
			return "", false, missing(fmt.Errorf("%.80q is no commit", commit))
		}
	}
	dir := c.snapshot(ref, commit)
	names, err := present(dir)
	if err != nil {
		return "", false, missing(err)
	}
	files, err := choose(ref, names)
	if err != nil {
		return "", false, missing(fmt.Errorf("it has %w", err))
	}
	last := files[len(files)-1]
	path = filepath.Join(dir, filepath.FromSlash(last))
	if last == safetensors.IndexName {
		shards, err := safetensors.Shards(path)
		if err != nil {
			return "", false, missing(err)
		}
		for _, shard := range shards {
			if _, err := os.Stat(filepath.Join(dir, shard)); err != nil {
				return "", false, missing(fmt.Errorf("%s is missing", shard))
			}
		}
	}
	if last == safetensors.IndexName || last == safetensors.SingleName {
		return dir, false, nil
	}
	return path, ref.Path == "", nil
}

// present lists the files in the folder of a commit, with slashes. Links whose blob is gone are none.
func present(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

// link makes a file of a commit out of its blob. Where the system has no links, the blob moves there, as huggingface_hub
// does it.
func (c *Client) link(ref Ref, commit string, f file) error {
	name := filepath.Join(c.snapshot(ref, commit), filepath.FromSlash(f.path))
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	blob := c.blob(ref, f.hash)
	target, err := filepath.Rel(dir, blob)
	if err != nil {
		return err
	}
	temp := name + ".finch-link"
	for _, old := range []string{temp, name} { // a link whose blob is gone
		if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if os.Symlink(target, temp) != nil {
		return atomicfile.Rename(blob, name)
	}
	return atomicfile.Rename(temp, name)
}
