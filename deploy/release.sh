#!/usr/bin/env bash
# Builds a release into dist/: for each platform an archive with the static program,
# its SBOM (CycloneDX), for Linux a Debian package, and SHA256SUMS of them all.
#
#   bash deploy/release.sh [PLATFORM ...]
#
# A platform is like linux/amd64; without one it is all of them. The version is that of
# the commit: its tag v1.2.3, or one that Go makes of its time and name. The same commit
# and the same Go give the same bytes, wherever and whenever this runs. Needs git, GNU
# tar and dpkg-deb, as Debian has them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
all=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)

fail() {
	echo "release.sh: $*" >&2
	exit 1
}

platforms=("$@")
[ $# -gt 0 ] || platforms=("${all[@]}")
for platform in "${platforms[@]}"; do
	[[ " ${all[*]} " == *" $platform "* ]] || fail "there is no release for $platform; fix: name some of ${all[*]}"
done
for program in go git dpkg-deb sha256sum; do
	command -v $program >/dev/null || fail "$program is missing; fix: run this on Debian, after apt-get install git dpkg coreutils, with Go from https://go.dev/dl/"
done
tar --version | grep -q 'GNU tar' || fail "tar is not GNU tar; fix: run this on Debian"
[ -d .git ] || fail "there is no .git folder here, from which the version comes; fix: run this in a clone"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed; fix: git stash --include-untracked, or commit them"

# Nothing of whoever builds: not the time, the folder, the account or the environment.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C CGO_ENABLED=0 GOFLAGS=-trimpath GOWORK=off GOEXPERIMENT='' GOAMD64=v1 GOARM64=v8.0
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
mkdir dist

# deb PROGRAM ARCHITECTURE: the Debian package.
deb() {
	local root=$work/deb-$2 version=${version#v} doc
	doc=$root/usr/share/doc/schoolbell
	# 1.0.0-rc.1 and what Go makes of a commit come before the version that they lead to.
	version=${version/-/'~'}
	version=${version//-/.}
	install -d "$root/DEBIAN" "$doc"
	install -D -m 0755 "$1" "$root/usr/bin/schoolbell"
	install -D -m 0644 deploy/schoolbell.yaml "$root/etc/schoolbell/schoolbell.yaml"
	install -d "$root/usr/lib/systemd/system"
	sed 's,/usr/local/bin/schoolbell,/usr/bin/schoolbell,; /^#   install .*schoolbell\(\.yaml\|\.service\)\? /d; /^#   install -d /d' \
		deploy/schoolbell.service >"$root/usr/lib/systemd/system/schoolbell.service"
	install -m 0644 LICENSE "$doc/copyright"
	gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
	echo /etc/schoolbell/schoolbell.yaml >"$root/DEBIAN/conffiles"
	install -m 0755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$root/DEBIAN/"
	sed "s,@VERSION@,$version,; s,@ARCHITECTURE@,$2,; s,@SIZE@,$(du -ks --apparent-size "$root" | cut -f1)," deploy/debian/control >"$root/DEBIAN/control"
	# gzip, as xz may differ by the number of processors.
	dpkg-deb --root-owner-group -Zgzip --build "$root" "dist/schoolbell_${version}_$2.deb" >/dev/null
}

for platform in "${platforms[@]}"; do
	os=${platform%/*} arch=${platform#*/}
	program=$work/$os-$arch/schoolbell
	GOOS=$os GOARCH=$arch go build -buildvcs=true -ldflags='-s -w' -o "$program" ./cmd/schoolbell
	version=$(go version -m "$program" | awk '$1 == "mod" { print $3 }')
	[[ $version == v* ]] || fail "the program has no version, but $version; fix: run this in a clone with git in PATH"
	name=schoolbell_${version}_${os}_$arch

	folder=$work/$name
	install -d "$folder"
	install -m 0755 "$program" "$folder/schoolbell"
	install -m 0644 LICENSE CHANGELOG.md README.md deploy/schoolbell.yaml "$folder/"
	[ "$os" != linux ] || install -m 0644 deploy/schoolbell.service "$folder/"
	tar -C "$work" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -c "$name" |
		gzip -n >"dist/$name.tar.gz"

	go tool -modfile=deploy/release.mod cyclonedx-gomod bin -json -noserial -notimestamp -std \
		-version "$version" -output "dist/$name.cdx.json" "$program" 2>"$work/sbom.log" || fail "no SBOM: $(cat "$work/sbom.log")"
	[ "$os" != linux ] || deb "$program" "$arch"
	echo "$name: $(stat -c %s "$program") bytes"
done
(cd dist && sha256sum ./* | sed 's,\./,,' >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
echo "dist/ has $version; check with: sha256sum -c SHA256SUMS"
