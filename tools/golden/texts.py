"""Makes internal/text/testdata: the same documents in Parquet files by pyarrow, in the encodings that data sets come in, and in
documents.json.

    pip install pyarrow
    python tools/golden/texts.py internal/text/testdata
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

DOCUMENTS = ["First.", None, "", "größer 🐦\nsecond line", "again"] + ["again", f"number {0}"] * 3 + [f"number {i}" for i in range(40)]


def main(folder):
    kept = [d for d in DOCUMENTS if d]
    (folder / "documents.json").write_text(json.dumps(kept, ensure_ascii=False, indent=0) + "\n")
    table = pa.table({
        "id": pa.array(range(len(DOCUMENTS)), pa.int64()),
        "text": pa.array(DOCUMENTS, pa.string()),
        "meta": pa.array([{"url": "u"}] * len(DOCUMENTS)),
        "tags": pa.array([["a", "b"]] * len(DOCUMENTS), pa.list_(pa.string())),
    })
    pq.write_table(table, folder / "snappy.parquet", compression="snappy", row_group_size=20)
    pq.write_table(table, folder / "plain.parquet", compression="none", use_dictionary=False, data_page_size=64, write_batch_size=8)
    pq.write_table(table, folder / "v2.parquet", compression="zstd", data_page_version="2.0", column_encoding={"text": "DELTA_BYTE_ARRAY"}, use_dictionary=False)
    large = table.set_column(1, "text", table["text"].cast(pa.large_string()))
    pq.write_table(large, folder / "gzip.parquet", compression="gzip")


main(Path(sys.argv[1]))
