// Command control-plane runs a command beside a Kubernetes control plane of its own: etcd, kube-apiserver and
// kube-controller-manager on ports of the system's choice, thrown away afterwards.
//
// It stands between the tests and the servers so that the servers are there when the tests begin, come back when a
// test kills them, and are gone when the tests are, however those ended.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const usage = `Usage: control-plane run [--dir DIR] [--keep] -- COMMAND [ARG...]

Runs COMMAND beside a fresh Kubernetes control plane and ends with its exit code. COMMAND finds

  KUBECONFIG                 an administrator's access, complete in one file
  PORTAL_OPERATOR_TEST_DIR   DIR, with kubeconfig, audit.log and NAME.pid, NAME.log of each server
  KUBEBUILDER_ASSETS         the folder of kubectl and the servers, also first on its PATH

A server that is killed comes back at once, on the same port and with the same data; NAME.pid then has its new number.

  --dir DIR   an empty or absent folder; a temporary one if omitted
  --keep      leave DIR behind
`

// errInterrupted: somebody lost patience while the servers were starting.
var errInterrupted = errors.New("interrupted")

// A process started with Pdeathsig dies with the *thread* that started it. This goroutine starts them all, and stays on
// one thread from before main until the very end.
func init() { runtime.LockOSThread() }

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		say("%v", err)
		code = 1
	}
	if errors.Is(err, errInterrupted) {
		code = 130
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	flags := flag.NewFlagSet("control-plane", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	dir := flags.String("dir", "", "")
	keep := flags.Bool("keep", false, "")
	if len(args) > 0 && args[0] == "run" {
		_ = flags.Parse(args[1:]) // ExitOnError
	}
	command := flags.Args()
	if len(command) == 0 {
		flags.Usage()
		return 2, nil
	}

	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return 0, errors.New("KUBEBUILDER_ASSETS is not set; the script `control-plane` beside this program sets it")
	}
	if *dir, err = emptyDir(*dir); err != nil {
		return 0, err
	}
	defer func() {
		if *keep {
			say("kept %s", *dir)
		} else {
			err = errors.Join(err, os.RemoveAll(*dir))
		}
	}()

	// From here on no signal may end us without the clean-up.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	begin := time.Now()
	plane := newPlane(*dir, assets, signals)
	defer plane.stop()
	if err := plane.start(); err != nil {
		return 0, err
	}
	say("ready after %.1f s: export KUBECONFIG=%s", time.Since(begin).Seconds(), plane.kubeconfig())

	return beside(plane, command, signals)
}

// beside runs the command and keeps the plane alive until the command has ended.
func beside(plane *plane, command []string, signals <-chan os.Signal) (int, error) {
	for name, value := range map[string]string{
		"KUBECONFIG":               plane.kubeconfig(),
		"KUBEBUILDER_ASSETS":       plane.assets,
		"PORTAL_OPERATOR_TEST_DIR": plane.dir,
		"PATH":                     plane.assets + string(os.PathListSeparator) + os.Getenv("PATH"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	// In our process group, unlike the servers: it may be a shell, which wants the terminal.
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	for {
		select {
		case exit := <-plane.exits:
			plane.revive(exit)
		case server := <-plane.due:
			plane.launch(server)
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // fails only when it has ended, which `done` is about to tell
		case err := <-done:
			if state := cmd.ProcessState; state != nil {
				return exitCode(state), nil
			}
			return 0, err
		}
	}
}

// exitCode follows the shells: a command that a signal ended yields 128 and the signal.
func exitCode(state *os.ProcessState) int {
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// emptyDir makes sure that what we are going to delete is ours alone.
func emptyDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "control-plane-")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return "", errors.Join(fmt.Errorf("--dir %s has to be empty", dir), err)
	}
	return filepath.Abs(dir)
}

func say(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "control-plane: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}
