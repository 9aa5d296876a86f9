package experiment

import (
	"context"
	"errors"
)

// ErrTimeLimit says that a session's time was over: all that was committed is there to go on with.
var ErrTimeLimit = errors.New("the time limit was reached")

// Expired returns ErrTimeLimit when the session's time is over.
func (s *Session) Expired() error {
	if !s.Until.IsZero() && !s.Clock().Before(s.Until) {
		return ErrTimeLimit
	}
	return nil
}

// limited ends a context with the session's time, which is for work that may stop at any moment and lose little.
func (s *Session) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Until.IsZero() {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, s.Until.Sub(s.Clock()), ErrTimeLimit)
}
