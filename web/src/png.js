// Put text notes into a PNG file, as sdkit.pictures.provenance does.

const IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/";

// file: the bytes of a PNG. notes: {keyword: text}. origin: the IPTC name of how it was made.
export function withNotes(file, notes, origin) {
  const chunks = Object.entries({ ...notes, "XML:com.adobe.xmp": xmp(notes.Software, origin) }).map(
    // keyword, 0, not compressed, method 0, no language, no translated keyword, text
    ([key, text]) => chunk("iTXt", new TextEncoder().encode(`${key}\0\0\0\0\0${text}`)),
  );
  const start = 33; // behind the signature (8 bytes) and the header (25 bytes)
  return new Blob([file.slice(0, start), ...chunks, file.slice(start)], { type: "image/png" });
}

export function chunk(kind, data) {
  const bytes = new Uint8Array(12 + data.length), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, checksum(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

// CRC-32, as in the PNG specification.
export function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const xmp = (program, origin) => `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="${program}"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    Iptc4xmpExt:DigitalSourceType="${IPTC}${origin}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>`;
