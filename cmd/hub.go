package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/internal/hub"
	"github.com/finch-llm/finch/internal/text"
	"github.com/finch-llm/finch/model"
)

func newPull() *cobra.Command {
	return &cobra.Command{
		Use:   "pull REPO",
		Short: "bring a model, or a file of a data set, from the Hugging Face hub",
		Long: `pull brings what a model needs from the Hugging Face hub into the cache that transformers and huggingface_hub use too, and
prints where it is: config.json, tokenizer and safetensors files of a repository, or one GGUF file with all its parts. What is
there already is not brought again; what was interrupted goes on where it was. Every file is compared with the hash that the
hub gives it.

Commands that take a model or a text take the same references, and bring what is missing; pull also looks for a newer commit.

HF_TOKEN gives access to what is private or gated. HF_HOME or HF_HUB_CACHE put the cache elsewhere, HF_ENDPOINT names another hub,
and HF_HUB_OFFLINE=1 keeps every command to what is in the cache.`,
		Example: `  finch pull org/name
  finch pull hf://org/name@revision/model-Q4_K_M.gguf
  finch pull hf://datasets/org/name/data/test.parquet`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			if !strings.HasPrefix(name, hub.Scheme) {
				name = hub.Scheme + name
			}
			ref, err := hub.ParseRef(name)
			if err != nil {
				return usageError{err}
			}
			client, err := newHub(c)
			if err != nil {
				return err
			}
			path, err := client.Pull(c.Context(), ref)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), path)
			return err
		},
	}
}

// newHub is a client by the environment, whose downloads are shown.
func newHub(c *cobra.Command) (*hub.Client, error) {
	client, err := hub.New(os.Getenv)
	if err != nil {
		return nil, usageError{err}
	}
	client.Agent = "finch/" + version()
	client.Progress = newDownloads(c.ErrOrStderr())
	return client, nil
}

// resolver finds models and texts by name: those on the hub are brought if they are not in the cache, other names are paths.
type resolver struct{ c *cobra.Command }

func (r resolver) Model(name string) (path string, err error) { return r.path(name, false) }

func (r resolver) Text(name string) (path string, err error) { return r.path(name, true) }

func (r resolver) path(name string, dataset bool) (string, error) {
	if !strings.HasPrefix(name, hub.Scheme) {
		return name, nil
	}
	ref, err := hub.ParseRef(name)
	switch {
	case err != nil:
		return "", usageError{err}
	case dataset && !ref.Dataset:
		return "", usagef("%s is a model: a text is hf://datasets/ORG/NAME/FILE", name)
	case ref.Dataset && !dataset:
		return "", usagef("%s is of a data set: a model is hf://ORG/NAME or hf://ORG/NAME/FILE.gguf", name)
	}
	client, err := newHub(r.c)
	if err != nil {
		return "", err
	}
	return client.Fetch(r.c.Context(), ref)
}

// openModel opens a model by its name. That there is none of that name is a mistake in the command.
func openModel(c *cobra.Command, ref string) (*model.Model, error) {
	path, err := resolver{c}.Model(ref)
	if err != nil {
		return nil, err
	}
	m, err := model.OpenAs(path, ref)
	if _, there := os.Stat(path); err != nil && path != model.Builtin && errors.Is(there, fs.ErrNotExist) {
		return nil, usageError{err}
	}
	return m, err
}

// readTokens reads a text by its name as a model sees it.
func readTokens(c *cobra.Command, data string, m *model.Model) ([]int32, error) {
	source, err := text.Parse(data)
	if err != nil {
		return nil, usageError{err}
	}
	if source.Name, err = (resolver{c}).Text(source.Name); err != nil {
		return nil, err
	}
	return text.Tokens(m.Tokenizer, source.Documents(), 0)
}

// newDownloads shows downloads as newProgress shows runs.
func newDownloads(w io.Writer) hub.Progress {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return &downloadBar{bars: bars{out: w}}
	}
	return &downloadLines{out: w}
}

// downloading is what both kinds of progress know about a download.
type downloading struct {
	name        string
	total       int64
	first, done int64 // bytes: at the start of this process, and now
	start       time.Time
}

func (d *downloading) begin(name string, total int64) {
	*d = downloading{name: name, total: total, first: -1, start: time.Now()}
}

func (d *downloading) at(bytes int64) {
	if d.first < 0 || bytes < d.done { // begun again
		d.first, d.start = bytes, time.Now()
	}
	d.done = bytes
}

func (d *downloading) text() string {
	rate := float64(d.done-d.first) / max(time.Since(d.start).Seconds(), 1e-6)
	text := fmt.Sprintf("%s of %s  %s/s", mebibytes(d.done), mebibytes(d.total), mebibytes(int64(rate)))
	if rate > 0 {
		text += fmt.Sprintf("  %v left", time.Duration(float64(d.total-d.done)/rate*float64(time.Second)).Round(time.Second))
	}
	return text
}

// downloadLines writes a line now and then.
type downloadLines struct {
	out  io.Writer
	last time.Time
	downloading
}

func (l *downloadLines) Begin(name string, bytes int64) {
	l.begin(name, bytes)
	l.last = time.Now()
}

func (l *downloadLines) At(bytes int64) {
	l.at(bytes)
	if time.Since(l.last) > linePeriod {
		l.last = time.Now()
		fmt.Fprintf(l.out, "%s: %s\n", l.name, l.text())
	}
}

func (l *downloadLines) End() {
	fmt.Fprintf(l.out, "%s: %s of %s\n", l.name, mebibytes(l.done), mebibytes(l.total))
}

func (l *downloadLines) Wait(reason string) { fmt.Fprintln(l.out, reason) }

// downloadBar draws a live bar for each file.
type downloadBar struct {
	bars bars
	downloading
}

func (b *downloadBar) Begin(name string, bytes int64) {
	b.begin(name, bytes)
	b.bars.label.Store(new(string))
	b.bars.open(name, bytes, func() string { return *b.bars.label.Load() })
}

func (b *downloadBar) At(bytes int64) {
	b.at(bytes)
	text := b.text()
	b.bars.label.Store(&text)
	b.bars.bar.SetCurrent(bytes)
}

func (b *downloadBar) End() { b.bars.close() }

func (b *downloadBar) Wait(reason string) {
	if b.bars.pool == nil {
		fmt.Fprintln(b.bars.out, reason)
		return
	}
	b.bars.label.Store(&reason)
}
