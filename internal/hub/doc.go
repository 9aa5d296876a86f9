// Package hub brings models and data sets from the Hugging Face hub into the cache that huggingface_hub and transformers
// use, so that all of them find what any of them has brought:
//
//	$HF_HUB_CACHE/models--org--name/            datasets--org--name for a data set
//	    blobs/SHA                               the contents, by SHA-256 or by git's SHA-1 of small files
//	    blobs/SHA.incomplete                    what there is of one that is being brought
//	    refs/main                               the commit that a branch or tag stood for
//	    snapshots/COMMIT/model.safetensors      links to blobs
//	$HF_HUB_CACHE/.locks/models--org--name/SHA.lock
//
// A pull asks the hub which commit a revision is and what files it has, with their hashes. Everything after that is by
// commit and by hash: a file is in the cache whole and as the hub says, or not there.
package hub
