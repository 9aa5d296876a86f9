package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	attempts    = 5 // in a row that get nothing
	firstPause  = time.Second
	longestWait = 6 * time.Minute // the hub's limits are counted over five
)

// temporary is an error that may be over after a while.
type temporary struct {
	err   error
	after time.Duration // what the hub asks for; 0: nothing
}

func (t temporary) Error() string { return t.err.Error() }
func (t temporary) Unwrap() error { return t.err }

// retry calls try until it succeeds, or fails for another reason than a temporary one. It gives up when several calls in
// a row have not got on; the pause between them doubles.
func (c *Client) retry(ctx context.Context, try func() (gotOn bool, err error)) error {
	pause := firstPause
	for failed := 1; ; failed++ {
		gotOn, err := try()
		var t temporary
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &t):
			return err
		}
		if gotOn {
			failed, pause = 1, firstPause
		}
		if failed == attempts {
			return fmt.Errorf("%w: given up after %d attempts: try again later, what has come is kept", err, attempts)
		}
		if t.after > longestWait {
			return fmt.Errorf("%w: the hub asks to wait for %v: try again then", err, t.after)
		}
		d := max(pause, t.after)
		if err := c.waiting(ctx, d, fmt.Sprintf("%v: trying again in %v", err, d)); err != nil {
			return err
		}
		pause *= 2
	}
}

// client sends requests. The token goes to the hub, and to nobody that it redirects to.
func (c *Client) client() (*http.Client, error) {
	token := c.token
	if token == "" {
		text, err := os.ReadFile(c.tokenFile)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("the token of the hub: %w: set HF_TOKEN or HF_TOKEN_PATH", err)
		}
		token = strings.TrimSpace(string(text))
	}
	hub, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: authorized{c.transport, hub, token}}, nil
}

// authorized adds the token to requests to the hub itself. A redirect to another host makes a request of its own, which
// has none.
type authorized struct {
	http.RoundTripper
	hub   *url.URL
	token string
}

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.token != "" && r.URL.Scheme == a.hub.Scheme && r.URL.Host == a.hub.Host {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	return a.RoundTripper.RoundTrip(r)
}

// get sends one request. The answer has a status of success; errors are temporary where asking again may help.
func (c *Client) get(ctx context.Context, ref Ref, url string, header http.Header) (*http.Response, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		r.Header = header
	}
	r.Header.Set("User-Agent", c.Agent)
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(r)
	if err != nil {
		if certificate := new(tls.CertificateVerificationError); errors.As(err, &certificate) {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		return nil, temporary{err: fmt.Errorf("%s: %w", ref, err)}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	resp.Body.Close()
	return nil, c.refusal(ref, resp)
}

// refusal is the error for an answer without success, and what to do about it.
func (c *Client) refusal(ref Ref, resp *http.Response) error {
	code, page := resp.Header.Get("X-Error-Code"), c.Endpoint+"/"+ref.page()
	says := resp.Status
	if text := resp.Header.Get("X-Error-Message"); text != "" {
		says += ", " + strconv.Quote(text)
	}
	advise := func(format string, args ...any) error {
		return fmt.Errorf("%s: the hub answers %s: %s", ref, says, fmt.Sprintf(format, args...))
	}
	switch status := resp.StatusCode; {
	case status == http.StatusRequestedRangeNotSatisfiable:
		return errRange
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		return temporary{err: fmt.Errorf("%s: the hub answers %s", ref, says), after: c.retryAfter(resp.Header)}
	case code == "GatedRepo":
		return advise("its owner asks for consent: give it at %s, and set HF_TOKEN to a token of the account that did", page)
	case code == "RevisionNotFound":
		return advise("the repository has no revision %q: its branches and tags are at %s", ref.Revision, page)
	case code == "EntryNotFound":
		return advise("the repository has no such file: its files are at %s/tree/%s", page, ref.Revision)
	case status == http.StatusUnauthorized:
		return advise("there is no such repository, or it is private and HF_TOKEN is not set or not valid: see %s", page)
	case status == http.StatusForbidden:
		return advise("the token in HF_TOKEN may not read it: ask for access at %s, or set another", page)
	case status == http.StatusNotFound:
		return advise("there is nothing of this name that can be seen without another HF_TOKEN: see %s", page)
	}
	return advise("is HF_ENDPOINT, %s, a hub?", c.Endpoint)
}

// errRange says that a file has no bytes where more of it was asked for.
var errRange = errors.New("the hub has no such range of the file")

// rateLimit is the header by which the hub says how many requests are left, and in how many seconds there will be more.
var rateLimit = regexp.MustCompile(`\br\s*=\s*0\s*;\s*t\s*=\s*(\d+)`)

// retryAfter is how long an answer asks to wait.
func (c *Client) retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if m := rateLimit.FindStringSubmatch(h.Get("RateLimit")); text == "" && m != nil {
		text = m[1]
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return at.Sub(c.now())
	}
	return 0
}
