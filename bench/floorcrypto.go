package bench

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"
)

// macs is a pool of HMAC-SHA-256 states under one key. Each keeps the two
// prepared blocks of the key, which would cost hmac.New half a microsecond per
// message.
type macs struct{ pool sync.Pool }

type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

func newMACs() *macs {
	key := randomBytes(32)
	m := new(macs)
	m.pool.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	return m
}

// sign appends the MAC of b to b.
func (m *macs) sign(b []byte) []byte {
	h := m.pool.Get().(*mac)
	defer m.pool.Put(h)
	h.Reset()
	h.Write(b)
	return h.Sum(b)
}

// verify checks and removes the MAC at the end of b, in constant time.
func (m *macs) verify(b []byte) ([]byte, bool) {
	if len(b) < sha256.Size {
		return nil, false
	}
	h := m.pool.Get().(*mac)
	defer m.pool.Put(h)
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	h.Reset()
	h.Write(body)
	return body, hmac.Equal(h.Sum(h.sum[:0]), sum)
}

// ctr is the floor F2: iv | AES-256-CTR | HMAC-SHA-256 of both.
type ctr struct {
	block cipher.Block
	macs  *macs
}

func newCTR() (sealer, error) {
	block, err := aes.NewCipher(randomBytes(32))
	return &ctr{block, newMACs()}, err
}

func (c *ctr) seal(dst, plaintext []byte) []byte {
	dst = slices.Grow(dst, aes.BlockSize+len(plaintext)+sha256.Size)
	dst = dst[:aes.BlockSize+len(plaintext)]
	iv := dst[:aes.BlockSize]
	_, _ = rand.Read(iv) // crashes the program instead of returning an error
	cipher.NewCTR(c.block, iv).XORKeyStream(dst[aes.BlockSize:], plaintext)
	return c.macs.sign(dst)
}

func (c *ctr) open(dst, sealed []byte) ([]byte, bool) {
	body, ok := c.macs.verify(sealed)
	if !ok || len(body) < aes.BlockSize {
		return nil, false
	}
	text := body[aes.BlockSize:]
	dst = slices.Grow(dst, len(text))[:len(text)]
	cipher.NewCTR(c.block, body[:aes.BlockSize]).XORKeyStream(dst, text)
	return dst, true
}

// xaes is the floor F4: nonce | XAES-256-GCM | HMAC-SHA-256 of both.
type xaes struct {
	deriver xaesDeriver
	macs    *macs
}

func newXAES() (sealer, error) {
	d, err := newXAESDeriver(randomBytes(32))
	return &xaes{d, newMACs()}, err
}

const xaesNonce = 24

func (x *xaes) seal(dst, plaintext []byte) []byte {
	dst = slices.Grow(dst, xaesNonce+len(plaintext)+aes.BlockSize+sha256.Size)[:xaesNonce]
	_, _ = rand.Read(dst) // crashes the program instead of returning an error
	gcm := x.deriver.gcm(dst)
	return x.macs.sign(gcm.Seal(dst, dst[12:xaesNonce], plaintext, nil))
}

func (x *xaes) open(dst, sealed []byte) ([]byte, bool) {
	body, ok := x.macs.verify(sealed)
	if !ok || len(body) < xaesNonce {
		return nil, false
	}
	plain, err := x.deriver.gcm(body).Open(dst, body[12:xaesNonce], body[xaesNonce:], nil)
	return plain, err == nil
}

// xaesDeriver derives the key of each message as C2SP's XAES-256-GCM specifies:
// the NIST SP 800-108 counter mode over CMAC-AES, with two blocks.
type xaesDeriver struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's first subkey
}

func newXAESDeriver(key []byte) (xaesDeriver, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return xaesDeriver{}, err
	}
	d := xaesDeriver{block: block}
	block.Encrypt(d.k1[:], d.k1[:])
	var carry byte
	for i := aes.BlockSize - 1; i >= 0; i-- {
		carry, d.k1[i] = d.k1[i]>>7, d.k1[i]<<1|carry
	}
	d.k1[aes.BlockSize-1] ^= carry * 0x87
	return d, nil
}

// gcm returns AES-256-GCM for the message with this nonce. It uses the nonce's
// last 12 bytes.
func (d *xaesDeriver) gcm(nonce []byte) cipher.AEAD {
	var key [32]byte
	for i := range 2 {
		m := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(m, []byte{0, byte(i + 1), 'X', 0})
		copy(m[4:], nonce[:12])
		for j := range m {
			m[j] ^= d.k1[j]
		}
		d.block.Encrypt(m, m)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 32 bytes is valid
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the blocks of AES have 16 bytes
	}
	return gcm
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crashes the program instead of returning an error
	return b
}
