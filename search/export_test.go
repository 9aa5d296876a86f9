package search

// For conformance_test.go, which uses package searchtest and is therefore outside of this package.
var (
	AxesOf         = axesOf
	Seeded         = seeded
	WithImportance = withImportance
)
