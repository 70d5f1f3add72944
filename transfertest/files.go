package transfertest

import "io/fs"

// fileSystem is what the server serves. Names are absolute, clean and slash-separated.
type fileSystem interface {
	open(name string, flags int, mode fs.FileMode) (file, error) // flags as for os.OpenFile
	stat(name string) (fs.FileInfo, error)
	lstat(name string) (fs.FileInfo, error)
	list(name string) ([]fs.FileInfo, error)
	mkdir(name string, mode fs.FileMode) error
	remove(name string) error // a file, or an empty directory
	rename(from, to string) error
	setAttrs(name string, a attributes) error
	readlink(name string) (string, error)
	symlink(target, name string) error
	close() error
}

// file is an open file. Its methods may run at once.
type file interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Stat() (fs.FileInfo, error)
	Close() error
}
