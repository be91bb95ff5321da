// The peer: Node's own socket.io server with the least that a room needs. It knows no accounts and keeps nothing.
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/package.json`);
const { Server } = require('socket.io');
const io = new Server(Number(process.argv[3]), { perMessageDeflate: false });
let seq = 0;

io.on('connection', (socket) => {
	let room = '';
	socket.on('room:join', ({ roomCode }, ack) => {
		room = roomCode;
		void socket.join(room);
		ack({ success: true, data: {} });
	});
	socket.on('room:message', ({ content, clientMsgId }, ack) => {
		seq += 1;
		const message = {
			id: '0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e',
			seq,
			roomId: '0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e',
			userId: '0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e',
			displayName: 'Member',
			messageType: 'text',
			content,
			clientMsgId,
			createdAt: new Date().toISOString(),
			editedAt: null,
			deletedAt: null,
		};
		io.to(room).emit('room:message-received', message);
		ack({ success: true, data: { message } });
	});
});
process.stdout.write('ready\n');
