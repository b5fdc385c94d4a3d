//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// socket is a WebSocket of a client, as little of it as a benchmark needs: a number
// for the kernel and what is left of a frame. Ten thousand of them cost the client's
// process next to nothing, and Go's poller, which would wake a goroutine for each
// message, does not know of them.
type socket struct {
	fd   int
	rest []byte // of a frame that has not come whole
}

// perSource is how many sockets are opened from one loopback address before the next
// is taken: an address has less than 28,232 ports for one listener.
const perSource = 10_000

// dial opens the n-th socket to an address as somebody with that token. What came
// behind the answer to the handshake is in rest.
func dial(address, token string, n int) (*socket, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	s := &socket{fd: fd}
	if err := s.handshake(to, token, n); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return s, nil
}

// ipBindAddressNoPort leaves the choice of a port to connect, which then knows the
// other end and can use a port again.
const ipBindAddressNoPort = 24

func (s *socket) handshake(to netip.AddrPort, token string, n int) error {
	err := errors.Join(
		syscall.SetsockoptInt(s.fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1),
		syscall.SetsockoptInt(s.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetsockoptTimeval(s.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 60}),
		syscall.Bind(s.fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + n/perSource)}}),
		syscall.Connect(s.fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}),
	)
	if err != nil {
		return fmt.Errorf("connect to %v: %w", to, err)
	}
	request := "GET /ws/dashboard/ HTTP/1.1\r\nHost: " + to.String() + "\r\nAuthorization: Token " + token + "\r\n" +
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := syscall.Write(s.fd, []byte(request)); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	var answer []byte
	buf := make([]byte, 4096)
	for {
		n, err := read(s.fd, buf)
		if err != nil || n == 0 {
			return fmt.Errorf("handshake: the connection ended after %q: %v", answer, err)
		}
		answer = append(answer, buf[:n]...)
		head, rest, whole := bytes.Cut(answer, []byte("\r\n\r\n"))
		if !whole {
			continue
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			return fmt.Errorf("handshake: refused: %s %s", strings.ReplaceAll(string(head), "\r\n", ", "), rest)
		}
		s.rest = bytes.Clone(rest)
		return syscall.SetNonblock(s.fd, true)
	}
}

// read is the system call, again where a signal broke it off.
func read(fd int, buf []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, buf)
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
}

// frames cuts what came into frames and keeps what is left for the next time. A
// payload counts until take returns.
func (s *socket) frames(came []byte, take func(opcode byte, payload []byte)) error {
	if len(s.rest) > 0 {
		came = append(s.rest, came...)
		s.rest = nil
	}
	for {
		opcode, payload, behind, err := cutFrame(came)
		if err != nil {
			return err
		}
		if payload == nil {
			break
		}
		take(opcode, payload)
		came = behind
	}
	if len(came) > 0 {
		s.rest = bytes.Clone(came)
	}
	return nil
}

// cutFrame cuts the first frame of a server off; a nil payload means that it has not
// come whole.
func cutFrame(b []byte) (opcode byte, payload, behind []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, nil
	}
	if b[0]&0x80 == 0 || b[1]&0x80 != 0 {
		return 0, nil, nil, errors.New("a frame that is masked or a fragment, which the gateway never sends")
	}
	length, head := uint64(b[1]), 2
	switch {
	case length == 126 && len(b) >= 4:
		length, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, head = binary.BigEndian.Uint64(b[2:]), 10
	case length >= 126:
		return 0, nil, nil, nil
	}
	if uint64(len(b)-head) < length {
		return 0, nil, nil, nil
	}
	end := head + int(length)
	return b[0] & 0x0f, b[head:end:end], b[end:], nil
}

// Opcodes of frames.
const (
	opText  = 1
	opClose = 8
)

// encodeFrame is a text as a frame of a server.
func encodeFrame(text []byte) []byte {
	b := []byte{0x80 | opText}
	if n := len(text); n < 126 {
		b = append(b, byte(n))
	} else {
		b = append(b, 126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return append(b, text...)
}

// pong is the frame with which a client answers a ping; the mask of zeros changes nothing.
var pong = append([]byte{0x80 | opText, 0x80 | byte(len(pongText)), 0, 0, 0, 0}, pongText...)

const pongText = `{"type":"pong"}`

// markKey stands before the mark in the text of a grade, and nowhere else in it.
var markKey = []byte(`"grade":`)

// markOf is the mark that a grade's message tells; 0: none.
func markOf(text []byte) int {
	_, behind, found := bytes.Cut(text, markKey)
	if !found {
		return 0
	}
	end := 0
	for end < len(behind) && behind[end] >= '0' && behind[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(string(behind[:end]))
	return n
}
