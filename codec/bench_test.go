package codec_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"testing"

	"github.com/carryon-go/carryon/codec"
)

var sizes = []int{120, 1000, 2500}

func BenchmarkSeal(b *testing.B) {
	ring := testRing(b, []int{1})
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			plaintext, dst := make([]byte, n), make([]byte, 0, codec.SealedLen(n))
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := codec.Seal(dst, ring.Active(now), binding, plaintext); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	ring := testRing(b, []int{1})
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			value := sealed(b, ring, binding, string(make([]byte, n)))
			dst := make([]byte, 0, n)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, _, err := codec.Open(dst, ring, now, binding, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpenPieces(b *testing.B) {
	ring := testRing(b, []int{1})
	for _, n := range []int{1000, 6000, 64_000} {
		pieces := split(b, sealed(b, ring, binding, string(make([]byte, n))), same(3700))
		piece, dst := of(pieces), make([]byte, 0, n)
		b.Run(strconv.Itoa(n)+"/joined", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				value, _, _ := codec.Join(piece)
				if _, _, err := codec.Open(dst, ring, now, binding, value); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(strconv.Itoa(n)+"/pieces", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := (*codec.Formats)(nil).OpenPieces(dst, ring, now, binding, piece); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A baseline performs the cryptography of format 1 on its own buffers, without
// header checks, key lookup, binding or concurrency. It is the lower bound for
// the benchmarks.
type baseline struct {
	block    cipher.Block
	mac      hash.Hash
	k1       [16]byte
	aad      []byte
	bin, out []byte
}

func newBaseline() *baseline {
	block, _ := aes.NewCipher(testSecret(1))
	mac := hmac.New(sha256.New, testSecret(2))
	mac.Reset()
	return &baseline{block: block, mac: mac, aad: make([]byte, 60), bin: make([]byte, 0, 8<<10), out: make([]byte, 0, 8<<10)}
}

func (f *baseline) gcm(nonce []byte) cipher.AEAD {
	var k [32]byte
	for i := range 2 {
		m := k[16*i : 16*i+16]
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], nonce[:12])
		for j := range m {
			m[j] ^= f.k1[j]
		}
		f.block.Encrypt(m, m)
	}
	block, _ := aes.NewCipher(k[:])
	gcm, _ := cipher.NewGCM(block)
	return gcm
}

func (f *baseline) seal(plaintext []byte) []byte {
	bin := append(f.bin, 1, 2, 3, 4, 5, 6, 7, 8)
	bin = bin[:32]
	nonce := bin[8:32]
	rand.Read(nonce)
	bin = f.gcm(nonce).Seal(bin, nonce[12:], plaintext, f.aad)
	f.mac.Reset()
	f.mac.Write(f.aad)
	f.mac.Write(bin)
	bin = f.mac.Sum(bin)
	return base64.RawURLEncoding.AppendEncode(f.out, bin)
}

func (f *baseline) open(value []byte) []byte {
	bin, _ := base64.RawURLEncoding.AppendDecode(f.bin, value)
	n := len(bin) - 32
	f.mac.Reset()
	f.mac.Write(f.aad)
	f.mac.Write(bin[:n])
	if !hmac.Equal(f.mac.Sum(f.out), bin[n:]) {
		panic("mac")
	}
	nonce := bin[8:32]
	plaintext, err := f.gcm(nonce).Open(f.out, nonce[12:], bin[32:n], f.aad)
	if err != nil {
		panic(err)
	}
	return plaintext
}

func BenchmarkFloorSeal(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f, plaintext := newBaseline(), make([]byte, n)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				f.seal(plaintext)
			}
		})
	}
}

func BenchmarkFloorOpen(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f := newBaseline()
			value := append([]byte(nil), f.seal(make([]byte, n))...)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				f.open(value)
			}
		})
	}
}
