//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// server is a program that listens.
type server struct {
	cmd   *exec.Cmd
	said  *bytes.Buffer // read only after ended
	ended chan struct{}
}

// startServer starts a program and returns when it listens on addr.
func startServer(cmd *exec.Cmd, addr string) (*server, error) {
	s := &server{cmd: cmd, said: new(bytes.Buffer), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = s.said, s.said
	cmd.WaitDelay = time.Second                           // children may keep its output open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal must not reach it
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(s.ended)
	}()
	if err := s.await(addr); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", cmd.Path, err, s.said.Bytes())
	}
	return s, nil
}

func (s *server) await(addr string) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(serverPatience)
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-poll.C:
		case <-s.ended:
			return fmt.Errorf("ended before it listened on %s", addr)
		case <-patience:
			return fmt.Errorf("does not listen: %w", err)
		}
	}
}

// stop asks the server to end, insists after a while, and returns when it is gone.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	insist := time.AfterFunc(serverPatience, func() { _ = s.cmd.Process.Kill() })
	defer insist.Stop()
	<-s.ended
}
