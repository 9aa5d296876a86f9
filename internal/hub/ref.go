package hub

import (
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strings"
)

// Scheme is what references to the hub begin with.
const Scheme = "hf://"

// Ref names a repository on the hub, or a file in it, as huggingface_hub writes it:
//
//	hf://[models/|datasets/]ORG/NAME[@REVISION][/PATH]
type Ref struct {
	Dataset  bool
	Repo     string // ORG/NAME
	Revision string // a branch, a tag or a commit; main if none is named
	Path     string // with slashes; empty for the repository
}

const mainRevision = "main"

var (
	// repoName is what the hub takes for each part of a repository's name, less doubled separators.
	repoName = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$`)

	// specialRevision is the revisions that are written with slashes: pull requests, and conversions such as refs/convert/parquet.
	specialRevision = regexp.MustCompile(`^refs/(?:convert/[\w.-]+|pr/\d+)`)
)

// ParseRef reads a reference. Errors say what one looks like.
func ParseRef(s string) (Ref, error) {
	fail := func(format string, args ...any) (Ref, error) {
		return Ref{}, fmt.Errorf("%q: %s: write hf://ORG/NAME, hf://ORG/NAME@REVISION, hf://ORG/NAME/FILE.gguf or hf://datasets/ORG/NAME/FILE", s, fmt.Sprintf(format, args...))
	}
	rest, ok := strings.CutPrefix(s, Scheme)
	if !ok {
		return fail("it does not begin with %s", Scheme)
	}
	r := Ref{Revision: mainRevision}
	if after, ok := strings.CutPrefix(rest, "datasets/"); ok {
		r.Dataset, rest = true, after
	} else {
		rest = strings.TrimPrefix(rest, "models/")
	}
	org, rest, _ := strings.Cut(rest, "/")
	end := strings.IndexAny(rest, "@/")
	if end < 0 {
		end = len(rest)
	}
	name, rest := rest[:end], rest[end:]
	switch {
	case org == "" || name == "":
		return fail("a repository has an organisation and a name")
	case org == "spaces" || org == "buckets" || org == "kernels":
		return fail("%s hold no models or data sets", org)
	}
	for _, part := range []string{org, name} {
		if !repoName.MatchString(part) || strings.Contains(part, "--") || strings.Contains(part, "..") {
			return fail("the hub has no such name as %q", part)
		}
	}
	r.Repo = org + "/" + name
	if revision, ok := strings.CutPrefix(rest, "@"); ok {
		special := specialRevision.FindString(revision)
		end := len(special)
		if special == "" || end < len(revision) && revision[end] != '/' {
			if end = strings.IndexByte(revision, '/'); end < 0 {
				end = len(revision)
			}
		}
		var err error
		if r.Revision, err = url.PathUnescape(revision[:end]); err != nil || !validPath(r.Revision) {
			return fail("%q is no revision", revision[:end])
		}
		rest = revision[end:]
	}
	if path, ok := strings.CutPrefix(rest, "/"); ok {
		if r.Path = path; !validPath(path) {
			return fail("%q is no path of a file", path)
		}
	}
	switch {
	case r.Dataset && r.Path == "":
		return fail("a data set has many files, of which one is to be named")
	case !r.Dataset && r.Path != "" && !strings.HasSuffix(r.Path, ".gguf"):
		return fail("a model in one file is a .gguf, and one in safetensors files is its repository")
	}
	return r, nil
}

// validPath says whether a path from outside, with slashes, stays within the folder that it is put in.
func validPath(path string) bool {
	return fs.ValidPath(path) && path != "." && !strings.ContainsAny(path, "\\:\x00")
}

// String is the reference as ParseRef reads it, main left out.
func (r Ref) String() string {
	s := Scheme
	if r.Dataset {
		s += "datasets/"
	}
	s += r.Repo
	if r.Revision != mainRevision {
		revision := r.Revision
		if specialRevision.FindString(revision) != revision {
			revision = url.PathEscape(revision)
		}
		s += "@" + revision
	}
	if r.Path != "" {
		s += "/" + r.Path
	}
	return s
}

// kind is models or datasets, as the hub's API and the cache have it.
func (r Ref) kind() string {
	if r.Dataset {
		return "datasets"
	}
	return "models"
}

// page is the repository's path on the hub.
func (r Ref) page() string {
	if r.Dataset {
		return "datasets/" + r.Repo
	}
	return r.Repo
}
