// The real socket.io-client, driven by a test: a JSON command a line on standard input, a JSON event a line on standard
// output. Commands: {do: "connect", id, url, options} · {do: "emit", id, event, args, ack} · {do: "close", id} ·
// {do: "cut", id} (drops the transport as a network does) · {do: "exit"}.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.argv[2]);
const { io } = require('socket.io-client');
const sockets = new Map();

function say(line) {
	process.stdout.write(`${JSON.stringify(line)}\n`);
}

const commands = {
	connect({ id, url, options }) {
		const socket = io(url, { forceNew: true, ...options });
		sockets.set(id, socket);
		socket.on('connect', () => say({ id, event: 'connect', data: [socket.id] }));
		socket.on('connect_error', (error) =>
			say({ id, event: 'connect_error', data: [{ message: error.message, data: error.data ?? null }] }),
		);
		socket.on('disconnect', (reason) => say({ id, event: 'disconnect', data: [reason] }));
		socket.io.on('reconnect', () => say({ id, event: 'reconnect', data: [] }));
		socket.onAny((event, ...data) => say({ id, event, data }));
	},
	emit({ id, event, args, ack }) {
		const socket = sockets.get(id);
		if (ack === null) socket.emit(event, ...args);
		else socket.emit(event, ...args, (...data) => say({ id, ack, data }));
	},
	transport({ id }) {
		say({ id, event: 'transport', data: [sockets.get(id).io.engine.transport.name] });
	},
	cut({ id }) {
		sockets.get(id).io.engine.close();
	},
	close({ id }) {
		sockets.get(id).disconnect();
		sockets.delete(id);
	},
	exit() {
		for (const socket of sockets.values()) socket.disconnect();
		process.exit(0);
	},
};

createInterface({ input: process.stdin }).on('line', (line) => {
	const command = JSON.parse(line);
	commands[command.do](command);
});
say({ event: 'ready' });
