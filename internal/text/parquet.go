package text

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// readParquet reads a column of text, row by row, without empty ones.
func readParquet(path, field string, yield func(string, error) bool) {
	f, info, err := open(path)
	if err != nil {
		yield("", err)
		return
	}
	defer f.Close()
	parquetColumn(f, info.Size(), path, field, yield)
}

// parquetColumn reads a column of the file in r. The library that decodes it takes the file's word for how much memory it
// needs, and panics at some damage: what the file says is compared with what it has before, and a panic is an error.
func parquetColumn(r io.ReaderAt, size int64, name, field string, yield func(string, error) bool) {
	row, within := int64(0), false // the row that is read, and whether the caller has it
	fail := func(format string, args ...any) {
		yield("", fmt.Errorf("%s: row %d: %w", name, row+1, fmt.Errorf(format, args...)))
	}
	defer func() {
		if p := recover(); p != nil {
			if within { // not ours
				panic(p)
			}
			fail("the file is damaged (%v): copy or download it again", p)
		}
	}()
	column, err := openColumn(r, size, field)
	if err != nil {
		yield("", fmt.Errorf("%s: %w", name, err))
		return
	}
	for _, group := range column.file.RowGroups() {
		err := readPages(group.ColumnChunks()[column.index].Pages(), field, func(text string) bool {
			row++
			if text == "" {
				return true
			}
			within = true
			more := yield(text, nil)
			within = false
			return more
		})
		switch {
		case err == errStopped:
			return
		case err != nil:
			fail("%w", err)
			return
		}
	}
}

// errStopped says that the caller wants no more.
var errStopped = errors.New("stopped")

// readPages reads the values of a row group's column, which it closes.
func readPages(pages parquet.Pages, field string, yield func(string) bool) error {
	defer pages.Close()
	values := make([]parquet.Value, 64)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return damagedFile(err)
		}
		if err := readPage(page, field, values, yield); err != nil {
			return err
		}
	}
}

// readPage reads the values of a page, so many at a time as values holds, and releases it.
func readPage(page parquet.Page, field string, values []parquet.Value, yield func(string) bool) error {
	defer parquet.Release(page)
	reader := page.Values()
	for {
		n, err := reader.ReadValues(values)
		for _, v := range values[:n] {
			text := string(v.ByteArray())
			if !utf8.ValidString(text) {
				return fmt.Errorf("column %q is not UTF-8", field)
			}
			if !yield(text) {
				return errStopped
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return damagedFile(err)
		}
	}
}

// damagedFile is an error of the library, with what to do.
func damagedFile(err error) error {
	return fmt.Errorf("the file is damaged (%w): copy or download it again", err)
}

// textColumn is a column of text in a file.
type textColumn struct {
	file  *parquet.File
	index int
}

const parquetFooter = 4 + 4 // length of the metadata, "PAR1"

func openColumn(r io.ReaderAt, size int64, field string) (*textColumn, error) {
	if size < 4+parquetFooter {
		return nil, errors.New("it is too short to be a Parquet file")
	}
	var footer [parquetFooter]byte
	if _, err := r.ReadAt(footer[:], size-parquetFooter); err != nil {
		return nil, err
	}
	if n := int64(binary.LittleEndian.Uint32(footer[:])); string(footer[4:]) != "PAR1" || n > size-4-parquetFooter {
		return nil, errors.New("it does not end as a Parquet file does: it is none or was cut short, copy or download it again")
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("it is no Parquet file that can be read: %w", err)
	}
	leaf, ok := file.Schema().Lookup(field)
	if !ok {
		var have []string
		for _, column := range file.Schema().Columns() {
			if len(column) == 1 { // else within another
				have = append(have, column[0])
			}
		}
		return nil, noField(field, have)
	}
	if leaf.MaxRepetitionLevel > 0 || leaf.Node.Type().Kind() != parquet.ByteArray {
		return nil, fmt.Errorf("column %q is no text but %s: name another with #FIELD after the file's name", field, leaf.Node.Type())
	}
	column := &textColumn{file, leaf.ColumnIndex}
	for i, group := range file.Metadata().RowGroups {
		if column.index >= len(group.Columns) {
			return nil, fmt.Errorf("row group %d lacks column %q: the file is damaged, copy or download it again", i+1, field)
		}
		if err := checkPages(r, size, &group.Columns[column.index].MetaData); err != nil {
			return nil, fmt.Errorf("row group %d, column %q: %w", i+1, field, err)
		}
	}
	return column, nil
}

// checkPages compares what the headers of a column's pages say with what there is, and with what a page may take.
func checkPages(r io.ReaderAt, size int64, column *format.ColumnMetaData) error {
	at := column.DataPageOffset
	if dictionary := column.DictionaryPageOffset; dictionary > 0 && dictionary < at {
		at = dictionary
	}
	end := at + column.TotalCompressedSize
	if at < 4 || end < at || end > size {
		return fmt.Errorf("its pages lie outside the file, at bytes %d to %d of %d: it was cut short, copy or download it again", at, end, size)
	}
	values := int64(0)
	for at < end && values < column.NumValues {
		section := &counted{r: bufio.NewReader(io.NewSectionReader(r, at, end-at))}
		var header format.PageHeader
		if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(section)).Decode(&header); err != nil {
			return fmt.Errorf("the page at byte %d is damaged (%w): copy or download the file again", at, err)
		}
		at += section.n + int64(header.CompressedPageSize)
		switch {
		case header.CompressedPageSize < 0 || at > end:
			return fmt.Errorf("a page ends at byte %d, its column at %d: the file is damaged, copy or download it again", at, end)
		case header.UncompressedPageSize < 0 || header.UncompressedPageSize > maxDocument:
			return fmt.Errorf("a page takes %d bytes, more than %d MiB: write the file with smaller pages", header.UncompressedPageSize, maxDocument>>20)
		}
		n := int64(header.DataPageHeader.V.NumValues) + int64(header.DataPageHeaderV2.V.NumValues)
		if n < 0 || n > maxDocument/8 {
			return fmt.Errorf("a page says that it has %d values: the file is damaged, copy or download it again", n)
		}
		values += n
	}
	return nil
}

// counted counts the bytes of a header.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
