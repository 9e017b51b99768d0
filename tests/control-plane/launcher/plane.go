package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// errPortTaken: somebody else took a port between our choice and its use.
var errPortTaken = errors.New("a port is taken")

// plane is the three servers and what they need.
//
// Invariant: only the main goroutine touches it. Other goroutines merely report, through exits and due.
type plane struct {
	dir     string
	assets  string
	url     string // of kube-apiserver
	servers []*server
	exits   chan exit
	due     chan *server // those whose pause before a new start is over
	signals <-chan os.Signal
}

type server struct {
	name    string
	args    []string
	cmd     *exec.Cmd // nil while it does not run
	started time.Time
}

type exit struct {
	server *server
	err    error
}

func newPlane(dir, assets string, signals <-chan os.Signal) *plane {
	// A server has one exit or one pause at a time, so no reporter ever blocks.
	return &plane{dir: dir, assets: assets, exits: make(chan exit, 3), due: make(chan *server, 3), signals: signals}
}

func (p *plane) kubeconfig() string { return p.path("kubeconfig") }

func (p *plane) path(name string) string { return filepath.Join(p.dir, name) }

// start returns once a namespace can be used: the API server answers and the controllers have done their first work.
func (p *plane) start() error {
	keys, err := newPKI()
	if err != nil {
		return err
	}
	if err := errors.Join(keys.write(p.dir), os.WriteFile(p.path("audit-policy.yaml"), auditPolicy, 0o600)); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := p.attempt(keys)
		if attempt == 3 || !errors.Is(err, errPortTaken) {
			return err
		}
		say("%v, choosing other ports", err)
		p.stop()
	}
}

func (p *plane) attempt(keys *pki) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	etcd := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	etcdPeer := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	p.url = fmt.Sprintf("https://127.0.0.1:%d", ports[2])
	client, err := p.client(keys)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(p.path("etcd")), p.writeKubeconfig(keys)); err != nil {
		return err
	}

	p.launch(&server{name: "etcd", args: []string{
		"--data-dir=" + p.path("etcd"),
		"--listen-client-urls=" + etcd,
		"--advertise-client-urls=" + etcd,
		"--listen-peer-urls=" + etcdPeer,
		"--unsafe-no-fsync", // the data dies with us anyway
		"--log-level=warn",
	}})
	p.launch(&server{name: "kube-apiserver", args: []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", // otherwise it insists on a default route
		"--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", ports[2]),
		"--tls-cert-file=" + p.path("kube-apiserver.crt"),
		"--tls-private-key-file=" + p.path("kube-apiserver.key"),
		"--client-ca-file=" + p.path("ca.crt"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.path("service-accounts.key"),
		"--service-account-signing-key-file=" + p.path("service-accounts.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged",
		// The suites run side by side; what is measured is the operator, not the fairness of the server.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=1000",
		"--max-mutating-requests-inflight=500",
		// Blocking: a request that was answered is in the log. Never rotated: tests read one file.
		"--audit-policy-file=" + p.path("audit-policy.yaml"),
		"--audit-log-path=" + p.path("audit.log"),
		"--audit-log-mode=blocking",
		"--audit-log-maxsize=0",
	}})
	if err := p.await(client, "/readyz"); err != nil {
		return err
	}
	// Not earlier: it gives up when it has not seen a healthy API server for ten seconds.
	p.launch(&server{name: "kube-controller-manager", args: []string{
		"--kubeconfig=" + p.kubeconfig(),
		"--service-account-private-key-file=" + p.path("service-accounts.key"),
		"--root-ca-file=" + p.path("ca.crt"),
		// Each controller as the ServiceAccount that it is in a cluster: admission policies exempt two of them by name.
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--secure-port=0",
		// Those that matter without nodes: nothing here can run a Pod.
		"--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller," +
			"serviceaccount-token-controller,clusterrole-aggregation-controller," +
			"validatingadmissionpolicy-status-controller,root-ca-certificate-publisher-controller",
		"--concurrent-namespace-syncs=20",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}})
	return p.await(client, "/api/v1/namespaces/default/serviceaccounts/default")
}

// launch starts a server, for the first time or again.
func (p *plane) launch(s *server) {
	if s.started.IsZero() {
		p.servers = append(p.servers, s)
	}
	s.started = time.Now()
	if err := p.spawn(s); err != nil {
		p.exits <- exit{s, err}
	}
}

func (p *plane) spawn(s *server) error {
	log, err := os.OpenFile(p.path(s.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own

	cmd := exec.Command(filepath.Join(p.assets, s.name), s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	// Setpgid: a Ctrl-C at the terminal is for the command; we end the servers when it has ended.
	// Pdeathsig: even when we are killed, they do not stay.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	go func() { p.exits <- exit{s, cmd.Wait()} }()

	// Renamed into place, so that nobody reads half a number.
	pid := p.path(s.name + ".pid")
	if err := os.WriteFile(pid+".new", fmt.Appendln(nil, cmd.Process.Pid), 0o600); err != nil {
		say("%v", err)
	} else if err := os.Rename(pid+".new", pid); err != nil {
		say("%v", err)
	}
	return nil
}

// revive starts a server again that has ended, at once unless it ended immediately.
func (p *plane) revive(e exit) {
	e.server.cmd = nil
	say("%s ended (%v), starting it again", e.server.name, e.err)
	if time.Since(e.server.started) > 2*time.Second {
		p.launch(e.server)
		return
	}
	time.AfterFunc(500*time.Millisecond, func() { p.due <- e.server })
}

// stop kills: the data is about to be deleted, nobody profits from an orderly end.
func (p *plane) stop() {
	for _, s := range p.servers {
		if s.cmd != nil {
			_ = s.cmd.Process.Kill() // fails only when it has ended
		}
	}
	for _, s := range p.servers {
		for s.cmd != nil {
			e := <-p.exits
			e.server.cmd = nil
		}
	}
	for len(p.exits) > 0 {
		<-p.exits // of servers that could not even be started
	}
	p.servers = nil
}

// await returns once path is answered with 200.
func (p *plane) await(client *http.Client, path string) error {
	// Generous: three builds may be running on the same two cores.
	deadline := time.After(2 * time.Minute)
	for pause := time.Tick(50 * time.Millisecond); ; {
		select {
		case e := <-p.exits:
			e.server.cmd = nil
			log := p.tail(e.server)
			if bytes.Contains(log, []byte("address already in use")) {
				return fmt.Errorf("%s: %w", e.server.name, errPortTaken)
			}
			return fmt.Errorf("%s ended (%v):\n%s", e.server.name, e.err, log)
		case <-p.signals:
			return errInterrupted
		case <-deadline:
			return fmt.Errorf("%s%s has not answered within two minutes", p.url, path)
		case <-pause:
			if response, err := client.Get(p.url + path); err == nil {
				response.Body.Close()
				if response.StatusCode == http.StatusOK {
					return nil
				}
			}
		}
	}
}

// tail is the end of a server's log.
func (p *plane) tail(s *server) []byte {
	log, _ := os.ReadFile(p.path(s.name + ".log"))
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-15):], []byte("\n"))
}

func (p *plane) client(keys *pki) (*http.Client, error) {
	cert, err := tls.X509KeyPair(keys.admin.cert, keys.admin.key)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(keys.ca.cert)
	return &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}},
		},
	}, err
}

// writeKubeconfig writes an access that is complete in itself: tests copy and change it.
func (p *plane) writeKubeconfig(keys *pki) error {
	b64 := base64.StdEncoding.EncodeToString
	return os.WriteFile(p.kubeconfig(), fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts:
- {name: test, context: {cluster: test, user: admin}}
clusters:
- name: test
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: admin
  user:
    client-certificate-data: %s
    client-key-data: %s
`, p.url, b64(keys.ca.cert), b64(keys.admin.cert), b64(keys.admin.key)), 0o600)
}

// freePorts asks the system for ports. All are held until the last is known, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
