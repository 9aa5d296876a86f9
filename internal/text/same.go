package text

import "iter"

// Same says whether two sources have the same documents in the same order, wherever they are stored.
func Same(a, b Source) (bool, error) {
	if a == b {
		return true, nil
	}
	next, stop := iter.Pull2(b.Documents())
	defer stop()
	for document, err := range a.Documents() {
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
