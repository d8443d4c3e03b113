package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestConnString(t *testing.T) {
	const password = `it's \ a "pass word"`
	file := filepath.Join(t.TempDir(), "password")
	writeFile(t, file, []byte(password+"\n"))
	p := postgresConfig{Host: "db.example.com", Port: 5433, User: "o'user", Database: "cards", PasswordFile: file}
	text, err := p.connString()
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgconn.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != p.Host || c.Port != 5433 || c.User != p.User || c.Database != p.Database || c.Password != password {
		t.Error("the connection string means something else")
	}
	if c.TLSConfig == nil || c.TLSConfig.ServerName != p.Host || c.TLSConfig.InsecureSkipVerify || len(c.Fallbacks) != 0 {
		t.Error("the server is not verified by default")
	}
}

func TestConnStringNamesTheField(t *testing.T) {
	dir := t.TempDir()
	two := filepath.Join(dir, "two")
	writeFile(t, two, []byte("hunter2\nhunter3\n"))
	for want, p := range map[string]postgresConfig{
		"postgres.password_file: ": {Host: "h", User: "u", Database: "d", PasswordFile: two},
		"postgres.url_file: ":      {URLFile: filepath.Join(dir, "none")},
	} {
		_, err := p.connString()
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

func TestPostgresTLS(t *testing.T) {
	for text, want := range map[string]bool{
		"postgres://u:hunter2@db.example.com/d?sslmode=verify-full":                   true,
		"postgres://u:hunter2@db.example.com/d?sslmode=verify-ca":                     true,
		"postgres://u:hunter2@db.example.com/d?sslmode=require":                       false,
		"postgres://u:hunter2@db.example.com/d?sslmode=prefer":                        false,
		"postgres://u:hunter2@db.example.com/d?sslmode=disable":                       false,
		"postgres://u:hunter2@db.example.com/d":                                       false,
		"postgres://u:hunter2@localhost,db.example.com/d?sslmode=disable":             false,
		"postgres://u:hunter2@127.0.0.1/d?sslmode=disable":                            true,
		"host=/run/postgresql user=u dbname=d sslmode=disable":                        true,
		"postgres://u:hunter2@db.example.com:badport/d?sslmode=verify-full":           false,
		"postgres://u:hunter2@a.example.com,b.example.com:5433/d?sslmode=verify-full": true,
	} {
		err := checkPostgresTLS(text)
		if (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is repeated", text)
		}
	}
}
