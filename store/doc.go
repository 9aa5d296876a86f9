// Package store is the record of searches: one SQLite database that holds runs, their candidates and scores, and the
// held-out results. It knows plain records only, and imports no other package of finch.
//
// # Promises
//
//   - A call that returned nil is on disk (WAL journal, synchronous=FULL): power loss takes nothing of it.
//   - RecordBatch, CloseGeneration, PutSpace and PutResult are idempotent: what is recorded already is left as it is, and
//     a different value for it is ErrConflict. A killed run is resumed by asking again for what it did: Batch answers
//     from the record.
//   - Fingerprint of a run that was killed and resumed equals that of one that was never stopped.
//   - Each closed generation stores a hash of its rows chained to the one before, so that Check sees any changed value
//     (SQLite sees damaged structure, never a changed payload).
//   - Readers see the last committed state and never make a writer wait.
//
// # Caveats
//
//   - One process writes a run at a time; the caller holds a lock for that. Two writers are safe but wait for each other,
//     for 5 seconds at most.
//   - The files that SQLite adds while the database is open (-wal, -shm) belong to it: copy or move all of them, or none.
//   - Not for network file systems: the write-ahead log needs memory shared between the processes.
//   - The chain guards against accidents, not against someone who recomputes it.
package store
