package sftpx

import (
	"encoding/binary"
	"fmt"
)

// Write takes the packets of pkg/sftp, which come in pieces, and sends them whole. pkg/sftp calls it from one goroutine at
// a time.
func (w *wire) Write(p []byte) (int, error) {
	w.foreign = append(w.foreign, p...)
	if len(w.foreign) < 4 {
		return len(p), nil
	}
	length := 4 + int(binary.BigEndian.Uint32(w.foreign))
	if len(w.foreign) < length {
		return len(p), nil
	}
	if length >= headSize && w.foreign[4] != fxpInit && binary.BigEndian.Uint32(w.foreign[5:])&ownIDs != 0 {
		return 0, fmt.Errorf("the session has made %d requests (a new one is needed)", uint32(ownIDs))
	}
	err := w.send(w.foreign)
	w.foreign = w.foreign[:0]
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// send sends a small packet.
func (w *wire) send(packet []byte) error {
	w.post(packet)
	return w.push()
}

// post puts a small packet down to be sent with the next push, whoever makes it.
func (w *wire) post(packet []byte) {
	w.queueing.Lock()
	defer w.queueing.Unlock()
	w.queue = append(w.queue, packet...)
}

// push sends what was put down, by whomever: many small requests at one moment are one packet of SSH.
func (w *wire) push() error {
	w.sending.Lock()
	defer w.sending.Unlock()
	return w.flush(w.takeQueue())
}

// takeQueue returns the packets that wait to be sent. sending is locked, here and in flush.
func (w *wire) takeQueue() []byte {
	w.queueing.Lock()
	defer w.queueing.Unlock()
	taken := w.queue
	w.queue = w.spare[:0]
	w.spare = nil
	if cap(taken) <= maxQueue {
		w.spare = taken
	}
	return taken
}

func (w *wire) flush(p []byte) error {
	if w.lost == nil && len(p) > 0 {
		_, w.lost = w.ch.Write(p)
	}
	if w.lost != nil {
		return wireLost{w.lost}
	}
	return nil
}

// sendContent sends a packet that ends with content. What it begins with goes along with the first of the content.
func (w *wire) sendContent(head, content []byte) error {
	w.sending.Lock()
	defer w.sending.Unlock()
	w.start = append(append(w.start[:0], w.takeQueue()...), head...)
	n := min(max(0, oneWrite-len(w.start)), len(content))
	w.start = append(w.start, content[:n]...)
	err := w.flush(w.start)
	if err == nil {
		err = w.flush(content[n:])
	}
	return err
}

// ask sends a request whose answer has no content; body appends what follows its id.
func (w *wire) ask(kind byte, body func([]byte) []byte) (<-chan reply, error) {
	answer, err := w.askWithNext(kind, body)
	if err == nil {
		err = w.push()
	}
	return answer, err
}

// askWithNext is ask, but the request goes along with the next one.
func (w *wire) askWithNext(kind byte, body func([]byte) []byte) (<-chan reply, error) {
	answer := make(chan reply, 1)
	id, err := w.note(request{answer: answer})
	if err != nil {
		return nil, err
	}
	w.post(sized(body(appendHead(make([]byte, 0, 256), kind, id))))
	return answer, nil
}

// appendHead begins a packet whose length is not known yet.
func appendHead(b []byte, kind byte, id uint32) []byte {
	b = append(b, 0, 0, 0, 0, kind)
	return binary.BigEndian.AppendUint32(b, id)
}

// sized gives a whole packet its length.
func sized(packet []byte) []byte {
	binary.BigEndian.PutUint32(packet, uint32(len(packet)-4))
	return packet
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// appendRead appends a READ of n bytes.
func appendRead(b []byte, id uint32, handle string, off int64, n int) []byte {
	begin := len(b)
	b = appendString(appendHead(b, fxpRead, id), handle)
	b = binary.BigEndian.AppendUint64(b, uint64(off))
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	binary.BigEndian.PutUint32(b[begin:], uint32(len(b)-begin-4))
	return b
}

// appendWrite appends a WRITE of n bytes, which follow.
func appendWrite(b []byte, id uint32, handle string, off int64, n int) []byte {
	begin := len(b)
	b = appendString(appendHead(b, fxpWrite, id), handle)
	b = binary.BigEndian.AppendUint64(b, uint64(off))
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	binary.BigEndian.PutUint32(b[begin:], uint32(len(b)-begin-4+n))
	return b
}
