package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/finch-llm/finch/store"
)

// exportsCheck is what came of comparing files that runs wrote with what was noted of them.
type exportsCheck struct {
	sound            int
	missing, differs []string // with the reason
}

// verifyArtifacts compares files with what runs noted when they wrote them. Of a path that several runs wrote to, a file
// of any of them is sound: the notes do not say which of them was the last.
func verifyArtifacts(ctx context.Context, notes []store.Artifact) (v exportsCheck, err error) {
	byPath := map[string][]store.Artifact{}
	var paths []string
	for _, a := range notes {
		if byPath[a.Path] == nil {
			paths = append(paths, a.Path)
		}
		byPath[a.Path] = append(byPath[a.Path], a)
	}
	for _, path := range paths {
		noted := byPath[path]
		last := &noted[len(noted)-1]
		sum, err := sumOf(ctx, path)
		switch {
		case ctx.Err() != nil:
			return v, ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			v.missing = append(v.missing, fmt.Sprintf("%s, the %s of run %d, is not there: finch export %d --format %s writes it again", path, last.Kind, last.Run, last.Run, last.Kind))
		case err != nil:
			v.differs = append(v.differs, fmt.Sprintf("%s, the %s of run %d, cannot be read: %v", path, last.Kind, last.Run, err))
		case !slices.ContainsFunc(noted, func(a store.Artifact) bool { return a.SHA256 == sum }):
			v.differs = append(v.differs, fmt.Sprintf("%s is not the %s that run %d wrote (SHA-256 %.12s, now %.12s): export it again, or move it away", path, last.Kind, last.Run, last.SHA256, sum))
		default:
			v.sound++
		}
	}
	return v, nil
}

// sumOf is the SHA-256 of a file, or of what sha256sum prints of the files in a folder.
func sumOf(ctx context.Context, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return sumFile(ctx, path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	sums := sha256.New()
	for _, e := range entries { // by name
		sum, err := sumFile(ctx, filepath.Join(path, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sums, "%s  %s\n", sum, e.Name())
	}
	return hex.EncodeToString(sums.Sum(nil)), nil
}

func sumFile(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(&stoppable{ctx: ctx, w: sum}, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
