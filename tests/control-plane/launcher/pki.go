package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki is everything by which the servers and their administrator know each other.
type pki struct {
	ca, serving, admin pair
	serviceAccounts    []byte // the key that signs their tokens
}

// pair is a certificate and its key, as PEM.
type pair struct{ cert, key []byte }

// newPKI makes all of it anew: nothing secret is ever committed, and no two planes trust each other.
func newPKI() (*pki, error) {
	caKey, err := newKey()
	if err != nil {
		return nil, err
	}
	ca := template("portal-operator test CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign

	serving := template("kube-apiserver")
	serving.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serving.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	serving.DNSNames = []string{"localhost"}

	admin := template("admin")
	admin.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	admin.Subject.Organization = []string{"system:masters"} // the group that RBAC lets do everything

	p := &pki{}
	if p.ca, err = certify(ca, caKey, ca, caKey); err != nil {
		return nil, err
	}
	for cert, into := range map[*x509.Certificate]*pair{serving: &p.serving, admin: &p.admin} {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		if *into, err = certify(cert, key, ca, caKey); err != nil {
			return nil, err
		}
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	p.serviceAccounts, err = encodeKey(key)
	return p, err
}

// write puts into dir what the servers read as files.
func (p *pki) write(dir string) error {
	for name, content := range map[string][]byte{
		"ca.crt":               p.ca.cert,
		"kube-apiserver.crt":   p.serving.cert,
		"kube-apiserver.key":   p.serving.key,
		"service-accounts.key": p.serviceAccounts,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // clocks that step back
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// certify signs cert, which names the owner of key, with the key of ca.
func certify(cert *x509.Certificate, key *ecdsa.PrivateKey, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), caKey)
	if err != nil {
		return pair{}, err
	}
	keyPEM, err := encodeKey(key)
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM}, err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	// Not PKCS #8: kube-apiserver takes no public key out of that.
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}
