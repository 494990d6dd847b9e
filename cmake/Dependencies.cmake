# SPDX-License-Identifier: MIT
# Every library comes from pkg-config; each is linked only by the layer that may include it.
find_package(PkgConfig REQUIRED)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(GNUTLS REQUIRED IMPORTED_TARGET gnutls>=3.7)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares>=1.18)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(URIPARSER REQUIRED IMPORTED_TARGET liburiparser)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
find_program(PROTOC_C protoc-c REQUIRED)

# libev and uthash ship no pkg-config file.
find_path(EV_INCLUDE_DIR ev.h REQUIRED)
find_library(EV_LIBRARY ev REQUIRED)
add_library(Ev::Ev UNKNOWN IMPORTED)
set_target_properties(Ev::Ev PROPERTIES IMPORTED_LOCATION "${EV_LIBRARY}"
	INTERFACE_INCLUDE_DIRECTORIES "${EV_INCLUDE_DIR}")
find_path(UTHASH_INCLUDE_DIR uthash.h REQUIRED)
