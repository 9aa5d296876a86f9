package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// longestValue is more than any row or head of a bundle has: what is longer is refused before it is read whole.
const longestValue = 256 << 10

// bundleReader reads a bundle from its beginning. It holds no more than a row of it.
type bundleReader struct {
	name  string
	in    io.Reader
	given int64 // bytes that json has been given
	json  *json.Decoder
	where string // what is being read, for errors

	inTable bool
	columns int // of the table
	row     []json.RawMessage
	values  []any
}

func newBundleReader(in io.Reader, name string) *bundleReader {
	r := &bundleReader{name: name, in: bufio.NewReaderSize(in, 64<<10), where: "beginning"}
	r.json = json.NewDecoder(r)
	return r
}

var errLong = fmt.Errorf("a value of more than %d bytes", longestValue)

// Read gives the JSON decoder, which holds a value until it is whole, no more than a value may have.
func (r *bundleReader) Read(p []byte) (int, error) {
	if r.given-r.json.InputOffset() > longestValue {
		return 0, errLong
	}
	n, err := r.in.Read(p)
	r.given += int64(n)
	return n, err
}

func (r *bundleReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s (byte %d): %w", r.name, r.where, r.json.InputOffset(), fmt.Errorf(format, args...))
}

// broken explains an error of the JSON decoder.
func (r *bundleReader) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.errorf("the file ends here: it was cut short, copy it again")
	}
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		return r.errorf("%s where %s should be", other.Value, kindOf[other.Type.Kind()])
	}
	return r.errorf("%w", err)
}

// kindOf names what is asked of the JSON decoder.
var kindOf = map[reflect.Kind]string{
	reflect.Int: "a whole number", reflect.String: "text", reflect.Slice: "a list", reflect.Struct: "an object",
}

func (r *bundleReader) delimiter(want json.Delim) error {
	token, err := r.json.Token()
	if err != nil {
		return r.broken(err)
	}
	if token != want {
		return r.errorf("%v where %v should be", token, want)
	}
	return nil
}

// key reads the next key, which has to be this one.
func (r *bundleReader) key(want string) error {
	token, err := r.json.Token()
	if err != nil {
		return r.broken(err)
	}
	if token != want {
		return r.errorf("%v where the key %q should be", token, want)
	}
	r.where = want
	return nil
}

// value reads the next value into v.
func (r *bundleReader) value(v any) error {
	if err := r.json.Decode(v); err != nil {
		return r.broken(err)
	}
	return nil
}

// head reads up to the first table.
func (r *bundleReader) head() (a about, err error) {
	if token, err := r.json.Token(); err != nil || token != json.Delim('{') {
		return a, r.errorf("it is no bundle of `finch db export`")
	}
	if token, err := r.json.Token(); err != nil || token != "finch_bundle" {
		return a, r.errorf("it is no bundle of `finch db export`")
	}
	version := 0
	if err := r.value(&version); err != nil {
		return a, err
	}
	if version != bundleVersion {
		return a, r.errorf("the bundle has version %d, and this finch reads %d: use the finch that wrote it", version, bundleVersion)
	}
	if err := r.key("about"); err != nil {
		return a, err
	}
	return a, r.value(&a)
}

// table begins a table, whose rows r then gives.
func (r *bundleReader) table(name string, columns []string) error {
	if err := r.key(name); err != nil {
		return err
	}
	if err := r.delimiter('['); err != nil {
		return err
	}
	if !r.json.More() {
		return r.errorf("the names of the columns are missing")
	}
	var names []string
	if err := r.value(&names); err != nil {
		return err
	}
	if !slices.Equal(names, columns) {
		return r.errorf("the columns are %s, not %s", strings.Join(names, ", "), strings.Join(columns, ", "))
	}
	r.inTable, r.columns = true, len(columns)
	return nil
}

// next gives the next row of the table; after the last it ends the table.
func (r *bundleReader) next() ([]any, error) {
	if !r.inTable {
		return nil, nil
	}
	if !r.json.More() {
		r.inTable = false
		return nil, r.delimiter(']')
	}
	if err := r.value(&r.row); err != nil {
		return nil, err
	}
	if len(r.row) != r.columns {
		return nil, r.errorf("a row of %d values for %d columns", len(r.row), r.columns)
	}
	r.values = r.values[:0]
	for _, raw := range r.row {
		v, err := readValue(raw)
		if err != nil {
			return nil, r.errorf("%w", err)
		}
		r.values = append(r.values, v)
	}
	return r.values, nil
}

// readValue reads what appendRow wrote of a value.
func readValue(raw json.RawMessage) (any, error) {
	switch text := string(raw); {
	case text == "null":
		return nil, nil
	case text[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case text[0] != '-' && (text[0] < '0' || text[0] > '9'):
		return nil, fmt.Errorf("%.20s where a number or a text should be", text)
	case strings.ContainsAny(text, ".eE"):
		v, err := strconv.ParseFloat(text, 64)
		if errors.Is(err, strconv.ErrRange) { // infinity, as appendFloat writes it
			err = nil
		}
		return v, err
	default:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40s is no whole number of 64 bits", text)
		}
		return v, nil
	}
}

// walk reads a bundle to its end and shows its tables, in the order of parts. What visit leaves of one is passed over.
func (r *bundleReader) walk(visit func(p *part, r rows) error) (a about, err error) {
	if a, err = r.head(); err != nil {
		return a, err
	}
	ignore := func(*part, rows) error { return nil }
	if err := r.show(&lineage, ignore); err != nil {
		return a, err
	}
	for i := range parts {
		if err := r.show(&parts[i], visit); err != nil {
			return a, err
		}
	}
	if err := r.delimiter('}'); err != nil {
		return a, err
	}
	if _, err := r.json.Token(); !errors.Is(err, io.EOF) {
		return a, r.errorf("there is more after the end of the bundle")
	}
	return a, nil
}

func (r *bundleReader) show(p *part, visit func(p *part, r rows) error) error {
	if err := r.table(p.name, p.columns()); err != nil {
		return err
	}
	if err := visit(p, r); err != nil {
		return err
	}
	for {
		if values, err := r.next(); values == nil {
			return err
		}
	}
}
