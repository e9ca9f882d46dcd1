import { createServer, Agent, request } from "node:http"; import { once } from "node:events"; import { createHash } from "node:crypto";
import { encodeRequestHead, encodeAnswer } from "@funmatch/wire";
import { startGateway } from "funmatch-gateway/dev";
const secret="shared-by-gateway-and-teacher";
const version = `sha256:${"1".repeat(64)}`;
const server = createServer((q,r)=>{ const h=createHash("sha256"); q.on("data",d=>h.update(d)); q.on("end",()=>{ h.digest(); const dg = String(q.headers["x-d"] ?? "") || current; const b = encodeAnswer({model:"prof",version,digest:dg,logits:{dtype:"float32",shape:[64,1000],data:new Uint8Array(256000)}}); r.writeHead(200,{"content-type":"application/vnd.msgpack","x-funmatch-digest":dg,"x-funmatch-version":version,"content-length":b.length}).end(b); }); }); server.listen(0,"127.0.0.1"); await once(server,"listening");
let current="";
const direct=`http://127.0.0.1:${(server.address() as any).port}`;
const gw = await startGateway({ teacherUrl: direct, secret });
const { key } = await gw.createKey("e2e", ["train"]);
const agents = new Agent({keepAlive:true, maxSockets: 4});
const send = (u: string, body: Buffer) => new Promise<number>((res, rej) => { const t=performance.now(); const q=request(u+"/v1/models/prof/logits",{agent:agents,method:"POST",headers:{authorization:`Bearer ${key}`,"content-type":"application/vnd.msgpack","content-length":body.length}}); q.on("error",rej); q.on("response",r=>{ if(r.statusCode!==200) rej(new Error(String(r.statusCode))); r.resume(); r.on("end",()=>res(performance.now()-t)); }); q.end(body); });
const q=(a:number[],p:number)=>a.toSorted((x,y)=>x-y)[Math.min(a.length-1,Math.floor(a.length*p))]!.toFixed(1);
for (const [n,side,reps] of [[64,128,150],[127,256,40]] as const) {
  const data=Buffer.alloc(n*side*side*3,5); current=`sha256:${createHash("sha256").update(data).digest("hex")}`;
  const body=Buffer.concat([encodeRequestHead({purpose:"train",digest:current,dtype:"uint8",shape:[n,side,side,3]}),data]);
  const a:number[]=[],b:number[]=[]; for(let i=0;i<5;i++){await send(direct,body);await send(gw.url,body);}
  for(let i=0;i<reps;i++){ a.push(await send(direct,body)); b.push(await send(gw.url,body)); }
  console.log(`${(body.length/1e6).toFixed(1)} MB direct p50 ${q(a,.5)} p99 ${q(a,.99)}; gateway p50 ${q(b,.5)} p99 ${q(b,.99)} ms; added p50 ${(Number(q(b,.5))-Number(q(a,.5))).toFixed(1)}`);
}
await gw.close(); server.closeAllConnections(); server.close(); agents.destroy();
