// Apart from the module above, so that it builds in a second: the standard library is all it needs.
module portal-operator.dev/tests/control-plane/launcher

go 1.26.0
