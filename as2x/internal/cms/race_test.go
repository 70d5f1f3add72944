//go:build race

package cms_test

const raceDetector = true
