// http_corpus - requests that HTTP parsers disagree on (RFC 9112; smuggling literature), and whether ours
// takes them. Four more, which are long, are built in http_test.c.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct http_case {
	const char *name;
	bool ok;
	const char *bytes;
	size_t n;
};

// clang-format off
#define CASE(name, ok, bytes) { name, ok, bytes, sizeof(bytes) - 1 }
static const struct http_case http_cases[] = {
	CASE("ok CL (control)", true, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("ok chunked (control)", true, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("ok no UA, lower-case names (control)", true, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 7\r\n\r\n{\"a\":1}"),
	CASE("CL and TE", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	CASE("TE and CL", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n0\r\n\r\n"),
	CASE("two CL differ", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nContent-Length: 3\r\n\r\n{\"a\":1}"),
	CASE("two CL same", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("CL list 7, 7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7, 7\r\n\r\n{\"a\":1}"),
	CASE("CL +7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +7\r\n\r\n{\"a\":1}"),
	CASE("CL -0", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -0\r\n\r\n"),
	CASE("CL 0x7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x7\r\n\r\n{\"a\":1}"),
	CASE("CL 7 tab", true, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \t7\r\n\r\n{\"a\":1}"),
	CASE("CL vtab 7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \0137\r\n\r\n{\"a\":1}"),
	CASE("CL 7 7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7 7\r\n\r\n{\"a\":1}"),
	CASE("CL empty", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n{\"a\":1}"),
	CASE("CL 2^64+7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551623\r\n\r\n{\"a\":1}"),
	CASE("TE xchunked", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("TE identity + CL", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("TE gzip, chunked", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("TE chunked, identity", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("TE twice", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("TE chunked;x", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;x\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("TE vtab chunked", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \013chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("TE in HTTP/1.0", false, "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk 0x7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk +7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk ' 7'", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n 7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk '7 '", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7 \r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk '7 zzz'", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7 zzz\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk 7;ext (legal)", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7;a=b\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk size blank line", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk bare LF after size", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk data no CRLF", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}0\r\n\r\n"),
	CASE("chunk data XX for CRLF", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}XX0\r\n\r\n"),
	CASE("chunk -7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("chunk 2^64+7", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000007\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("trailer Content-Length", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\nContent-Length: 3\r\n\r\n"),
	CASE("bare LF line ends", false, "POST /echo HTTP/1.1\nHost: x\nContent-Length: 7\n\n{\"a\":1}"),
	CASE("bare LF one header", false, "POST /echo HTTP/1.1\r\nHost: x\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("bare CR in value", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\rc\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("CR CR LF", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\r\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("space before colon CL", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 7\r\n\r\n{\"a\":1}"),
	CASE("space before colon other", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA : b\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("tab before colon TE", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("obs-fold", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("obs-fold in CL", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 7\r\n\r\n{\"a\":1}"),
	CASE("obs-fold TE", false, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
	CASE("fold as first line", false, "POST /echo HTTP/1.1\r\n Host: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("NUL in value", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\000c\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("NUL in CL", false, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\000 1\r\n\r\n{\"a\":1}"),
	CASE("NUL in name", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA\000B: b\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("NUL in target", false, "POST /echo\000x HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("ctl 01 in value", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\001c\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("high byte in name", false, "POST /echo HTTP/1.1\r\nHost: x\r\nA\351: b\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("empty header name", false, "POST /echo HTTP/1.1\r\nHost: x\r\n: b\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("no colon", false, "POST /echo HTTP/1.1\r\nHost: x\r\nAbc\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("absolute-form", false, "POST http://x/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("absolute-form other host", false, "POST http://evil/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("two spaces in line", false, "POST  /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("space in target", false, "POST /echo x HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("tab separators", false, "POST\t/echo\tHTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("trailing space line", false, "POST /echo HTTP/1.1 \r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("lower-case method", true, "post /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("HTTP/0.9", false, "GET /json\r\n"),
	CASE("HTTP/1.2", false, "POST /echo HTTP/1.2\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("HTTP/2.0", false, "POST /echo HTTP/2.0\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("HTTP/1.01", false, "POST /echo HTTP/1.01\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("HTTP/+1.1", false, "POST /echo HTTP/+1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("http/1.1", false, "POST /echo http/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("h2 preface", false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	CASE("no Host", false, "POST /echo HTTP/1.1\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("two Hosts", false, "POST /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("HEAD with CL body", true, "HEAD /json HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("GET with CL body", true, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("Expect: 100-continue", true, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("Expect: other", false, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: yes\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("Upgrade h2c", true, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("leading CRLF", false, "\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"),
	CASE("TLS hello", false, "\026\003\001\000\310\001\000\000\304\003\003\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000"),
};
#undef CASE
// clang-format on
