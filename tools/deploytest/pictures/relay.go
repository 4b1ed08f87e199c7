package main

import (
	"net"
	"net/textproto"
	"strings"
)

// converse answers a client of SMTP until it leaves.
func converse(c net.Conn) {
	conn := textproto.NewConn(c)
	defer func() { _ = conn.Close() }()
	if conn.PrintfLine("220 relay.example.com ESMTP") != nil {
		return
	}
	for {
		command, err := conn.ReadLine()
		if err != nil {
			return
		}
		answer := "250 OK"
		switch strings.ToUpper(strings.Fields(command + " -")[0]) {
		case "DATA":
			if conn.PrintfLine("354 go on") != nil {
				return
			}
			if _, err := conn.ReadDotBytes(); err != nil {
				return
			}
			pause(20, 120)
		case "QUIT":
			_ = conn.PrintfLine("221 bye")
			return
		}
		if conn.PrintfLine("%s", answer) != nil {
			return
		}
	}
}
