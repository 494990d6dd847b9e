# SPDX-License-Identifier: MIT
# Language level, warnings, hardening and sanitizers: `fetchd_options` is linked (PRIVATE) by every target.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# Assertions are for our own bugs, and they stay on in every build.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
	string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()

option(FETCHD_WERROR "Warnings are errors" OFF)
set(FETCHD_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=: address,undefined")

add_library(fetchd_options INTERFACE)
target_compile_definitions(fetchd_options INTERFACE _GNU_SOURCE)
target_compile_options(fetchd_options INTERFACE
	-Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla
	-Wformat=2 -Wimplicit-fallthrough -Wpointer-arith -Wwrite-strings
	-fstack-protector-strong -fno-common)
if(FETCHD_WERROR)
	target_compile_options(fetchd_options INTERFACE -Werror)
endif()
if(FETCHD_SANITIZE)
	target_compile_options(fetchd_options INTERFACE
		-fsanitize=${FETCHD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
	target_link_options(fetchd_options INTERFACE -fsanitize=${FETCHD_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(fetchd_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
target_link_options(fetchd_options INTERFACE -Wl,-z,relro,-z,now)
