package text

import "iter"

// Same says whether two names stand for the same documents in the same order, wherever they are stored.
func Same(a, b string) (bool, error) {
	of, err := Parse(a)
	if err != nil {
		return false, err
	}
	with, err := Parse(b)
	if err != nil {
		return false, err
	}
	if of == with {
		return true, nil
	}
	next, stop := iter.Pull2(with.Documents())
	defer stop()
	for document, err := range of.Documents() {
		if err != nil {
			return false, err
		}
		other, err, ok := next()
		if !ok || err != nil || document != other {
			return false, err
		}
	}
	_, err, more := next()
	return !more, err
}
