package configs

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// advice is what to write instead, by a part of the TOML parser's message. The first match counts.
var advice = []struct{ message, write string }{
	{"has already been defined", "keep one of them"},
	{"was already created", "keep one of them; experiments all start with [[experiment]]"},
	{"strings cannot contain newlines", `close the text with a quote on the same line`},
	{"cannot contain control characters", "remove the character"},
	{"to end with a newline", "start a new line"},
	{"to end table name", "write [name] or [[name]]"},
	{"end of table array name", "write [[name]]"},
	{"table names cannot be empty", "write a name between the brackets"},
	{"a comma (',') or", "put a comma between values and close the bracket"},
	{"a comma or an inline table", "put a comma between settings and close the brace"},
	{"expected '.' or '='", "write key = value"},
	{"key name appears blank", "write a key before the ="},
	{"expected key separator", "write key = value"},
	{"expected value", `write a value: text in double quotes, a number, true or false, a list or a table`},
	{"unexpected EOF; expected", "close the text with a quote"},
	{"invalid escape", `write \\ for a backslash, or put the text in single quotes`},
	{"floats must start with a digit", "write 0 before the point"},
	{"leading zero", "write the number without them"},
	{"is out of range", "write a smaller number"},
}

// syntaxError is the parser's error at its place, with what to write instead where that is known.
func syntaxError(doc *document, err error) error {
	parse := new(toml.ParseError)
	if !errors.As(err, parse) {
		return &Error{File: doc.name, Message: "this is not valid TOML: " + err.Error(), Err: err}
	}
	// The message may quote the file: keep it on one line.
	message := "this is not valid TOML: " + strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.TrimSuffix(parse.Message, "."))
	for _, a := range advice {
		if strings.Contains(parse.Message, a.message) {
			message += ": " + a.write
			break
		}
	}
	return doc.errorf(parse.Position.Start, "%s", message)
}
