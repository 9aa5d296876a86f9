package hub

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Client looks for things in the cache and brings them from the hub. It is for one goroutine at a time.
type Client struct {
	Endpoint string // where the hub is, without a slash at the end
	Cache    string // the folder, which need not exist
	Offline  bool   // nothing is brought

	Agent    string   // how the client calls itself to the hub
	Progress Progress // told of downloads; nil: nobody is

	token     string
	tokenFile string // for an empty token

	transport http.RoundTripper
	now       func() time.Time
	wait      func(context.Context, time.Duration) error
	stall     time.Duration // without a byte of an answer, after which it is given up
}

// Progress is told how a download goes.
type Progress interface {
	Begin(name string, bytes int64) // a file of so many bytes
	At(bytes int64)                 // of the file are there: at first those of an earlier pull; fewer than before if it is begun anew
	End()
	Wait(reason string) // until something outside has changed
}

// New makes a client by the environment variables that huggingface_hub knows: HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, HF_TOKEN,
// HF_TOKEN_PATH, HF_HUB_OFFLINE.
func New(getenv func(string) string) (*Client, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := strings.TrimSpace(getenv(name)); v != "" {
				return v
			}
		}
		return ""
	}
	c := &Client{Endpoint: strings.TrimRight(first("HF_ENDPOINT"), "/"), Agent: "finch", token: first("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
	if c.Endpoint == "" {
		c.Endpoint = "https://huggingface.co"
	}
	if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("HF_ENDPOINT is %q: write the address of a hub, such as https://huggingface.co", c.Endpoint)
	}
	home := expand(first("HF_HOME"), getenv)
	if home == "" {
		cache := expand(first("XDG_CACHE_HOME"), getenv)
		if cache == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return nil, fmt.Errorf("the Hugging Face cache: %w: set HF_HOME to its folder", err)
			}
			cache = filepath.Join(user, ".cache")
		}
		home = filepath.Join(cache, "huggingface")
	}
	if c.Cache = expand(first("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"), getenv); c.Cache == "" {
		c.Cache = filepath.Join(home, "hub")
	}
	if c.tokenFile = expand(first("HF_TOKEN_PATH"), getenv); c.tokenFile == "" {
		c.tokenFile = filepath.Join(home, "token")
	}
	c.Offline = slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(first("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")))

	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // ranges count the bytes of the file, not those of an encoding
	c.transport, c.now, c.wait, c.stall = transport, time.Now, sleep, time.Minute
	return c, nil
}

// expand replaces variables and a leading ~ in a path, as huggingface_hub does.
func expand(path string, getenv func(string) string) string {
	path = os.Expand(path, getenv)
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			return home + rest
		}
	}
	return path
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// waiting tells whoever watches, and waits.
func (c *Client) waiting(ctx context.Context, d time.Duration, reason string) error {
	if c.Progress != nil {
		c.Progress.Wait(reason)
	}
	return c.wait(ctx, d)
}
