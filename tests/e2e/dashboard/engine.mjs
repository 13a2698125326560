// engine: a made-up container engine. What it lists is FOLDER/list.json as it is now, the log of NAME is FOLDER/NAME.log in
// frames of one line; with follow=true it then waits for ever. FOLDER/asked gets every request line; a file FOLDER/mute:
// connections are taken and nothing is said.
//   node engine.mjs SOCKET FOLDER
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const [, , socket, folder] = process.argv;

function frame(line) {
	const head = Buffer.alloc(8);
	head[0] = 1;
	head.writeUInt32BE(line.length, 4);
	return Buffer.concat([head, line]);
}

function log(path, response) {
	const bytes = readFileSync(path);
	for (let at = 0; at < bytes.length;) {
		const end = bytes.indexOf(10, at) + 1 || bytes.length;
		response.write(frame(bytes.subarray(at, end)));
		at = end;
	}
}

const server = createServer((request, response) => {
	const url = new URL(request.url, "http://engine");
	const name = /^\/containers\/([a-zA-Z0-9_.-]+)\/logs$/.exec(url.pathname)?.[1];
	appendFileSync(`${folder}/asked`, `${request.method} ${request.url}\n`);
	response.on("close", () => appendFileSync(`${folder}/asked`, `end ${request.url}\n`));
	if (existsSync(`${folder}/mute`))
		return;
	if (url.pathname === "/containers/json") {
		response.end(readFileSync(`${folder}/list.json`));
	} else if (name && existsSync(`${folder}/${name}.log`)) {
		log(`${folder}/${name}.log`, response);
		if (url.searchParams.get("follow") !== "true")
			response.end();
	} else {
		response.statusCode = 404;
		response.end('{"message":"no such container: internals"}');
	}
});
server.requestTimeout = server.keepAliveTimeout = 0;
server.listen(socket, () => console.log("ready"));
