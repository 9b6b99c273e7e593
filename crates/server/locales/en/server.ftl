# What the server says to people. The same keys stand in ../ar/server.ftl; a test compares them.

host = Host
private-title = A conversation by invitation
page-description-scheduled = A conversation that will be heard here.
page-description-cancelled = A conversation that does not take place.
page-description-live = Live now: press once and listen.
page-description-over = A conversation that has ended.
page-description-review = A conversation that has ended. Its recording is posted here after the host has heard it.
page-description-removed = A conversation that has ended. Its recording was removed; this server keeps recordings for a while only.
page-description-replay = Listen to the recording.
noscript-listen = Listen live without JavaScript:
noscript-replay = Hear the recording without JavaScript:
noscript-invited = Conversations for invited listeners need JavaScript.
noscript-wait = Nothing to hear? Ask for a place, and wait.
page-listen = Listen
page-replay = Recording

status-title = Status
status-well = Hiwar is working.
status-paused = The disk takes no more: recording is paused in { $spaces } conversations. Live sound goes on.
status-live = Live conversations
status-listeners = Listeners
status-speakers = Speakers
status-beats = Late frames of sound since the start
status-age = This was so { $age } seconds ago.
status-away = The part of this server that knows how things stand is being restarted or does not answer. Sound goes on; what is said here may be otherwise by now.
status-level = Level { $level }.
status-since = Since { $time }.
status-spaces = Conversations
status-changes = Changes in the last 24 hours
status-no-changes = None.
status-server = The whole server
status-change = from level { $before } to { $level }.

ladder-level-0 = Whoever comes is let in at once.
ladder-level-1 = Whoever comes is let in within minutes.
ladder-level-2 = Whoever comes is let in within minutes. Sound comes in longer pieces, so everybody hears it a little later.
ladder-level-3 = Whoever comes is let in within minutes. Sound comes at a lower bitrate, and reactions are not taken.
ladder-level-4 = Whoever comes now hears it some seconds later than others. Whoever listens goes on listening as before.
ladder-level-5 = There is not a place for everybody. Whoever cannot be let in within half an hour is told so on arrival; the recording will be at the conversation's page. Whoever listens goes on listening.
ladder-why = Why: { $reasons }.
ladder-reason-late = sound reached some listeners late
ladder-reason-line = the line is nearly full
ladder-reason-handshakes = very many people are connecting at once
ladder-reason-memory = memory is nearly full
ladder-reason-files = there is room for few more connections
ladder-reason-crowd = more people came than there are places
ladder-reason-operator = whoever runs this server decided so

notice-disk-little = The disk of this server is { $percent } % full
    .detail = Whoever runs it should make room, or have old recordings removed. What is on the air goes on; when the disk is almost full, new conversations are refused.
notice-disk-scarce = The disk of this server is almost full
    .detail = New conversations are refused until there is room. What is on the air goes on; when the disk is full, its recording pauses.

withdrawal-failed = { $reason ->
    [nobody] Nobody of that id or name was on its stage.
    [several] Several people had that name. Name one of them by id: { $why }
   *[other] It could not be made anew: { $why }
}

## Problems (RFC 9457). The key is `problem-` and the last part of the type.

problem-not-found = Nothing is here
    .detail = There is nothing at this address.
problem-method-not-allowed = Not possible here
    .detail = This address does not take that method.
problem-space-not-found = No such conversation
    .detail = There is no conversation with this id.
problem-session-not-found = No such session
    .detail = This session has ended or never was. Connect anew.
problem-pass-missing = A pass is needed
    .detail = Send the pass from your link in the Authorization header, as a bearer token.
problem-pass-invalid = The pass is not valid
    .detail = The link is incomplete or comes from another server. Ask for a new one.
problem-pass-expired = The pass has expired
    .detail = Ask the host for a new link.
problem-pass-wrong-space = The pass is for another conversation
    .detail = Open the link that you were sent for this conversation.
problem-pass-not-enough = The pass does not allow this
    .detail = Your link lets you do other things here. Ask the host.
problem-body-too-large = Too large
    .detail = The request may carry at most { $limit } KiB.
problem-media-type = Wrong content type
    .detail = This address takes { $expected }.
problem-malformed = The request cannot be understood
    .detail = The body is not what this address takes. See /api/openapi.json.
problem-title-empty = The title is missing
    .detail = Give the conversation a title with at least one visible letter.
problem-title-too-long = The title is too long
    .detail = A title has at most { $limit } characters.
problem-name-empty = The name is missing
    .detail = Give a name with at least one visible letter.
problem-name-too-long = The name is too long
    .detail = A name has at most { $limit } bytes, about 30 letters of Arabic.
problem-language-unknown = Not a language
    .detail = Give a language tag such as ar, en or ar-EG.
problem-cadence-unknown = Not a time between two writes
    .detail = Give cadence_ms as 200, 400, 1000, 2000 or 4000 milliseconds, or null to leave it to the workers.
problem-bitrate-unknown = Not a bitrate
    .detail = Give bitrate_kbps as 32 or 16 kbit/s, or null to leave it to the workers.
problem-order-unknown = Not an order that can be given
    .detail = Give pin and cap as a level from 0 to 5, panic as 4 or 5, places as 0 to 10,000,000, or null to lift it; minutes as 1 to 10,080, by with at most 64 characters and why with at most 300.
problem-no-doors = There are no doors here
    .detail = How many may listen can be changed where doors are configured: add a [door] with places, and restart the service.
problem-already-started = Already live
    .detail = The conversation has started. It starts only once.
problem-not-started = Not live yet
    .detail = The conversation has not started. Try again when the host has started it.
problem-already-ended = Already over
    .detail = The conversation has ended. Make a new one to talk on.
problem-still-live = Still live
    .detail = End the conversation before you delete its recording.
problem-no-recording = No recording
    .detail = The conversation was not recorded, or its recording is already gone.
problem-no-tracks = No one can be taken out of this recording
    .detail = No track of each speaker was kept (tracks was off when the conversation was made). The recording can only be deleted as a whole.
problem-hold-music-refused = This cannot be played to those who wait
    .detail = { $reason ->
        [not-wav] It is not a WAV file, or not all of it is there.
        [samples] Its samples must be integers of 16 or 24 bits, or floating-point numbers of 32.
        [rate] It must have between 8 and 96 kHz.
        [channels] It must be mono or stereo.
        [long] It may last { $limit } minutes at most: it is played again and again.
        [short] It must last a second at least.
        [silent] There is nothing to hear in it.
        [large] The file is larger than 20 MB.
       *[other] It could not be used.
    }
problem-hold-music-full = Too many conversations have hold music
    .detail = This server keeps music for { $limit } conversations that are yet to begin. Try again when some have begun.
problem-replay-in-the-making = The recording is being prepared
    .detail = Try again in a few seconds.
problem-not-in-review = The recording is not waiting for you
    .detail = It has been posted already, or no replay could be made of it.
problem-outside-recording = The recording is shorter than that
    .detail = Choose a beginning and an end within the recording.
problem-too-short = Too little would be left
    .detail = Keep at least one second, with the end after the beginning.
problem-stage-full = The stage is full
    .detail = All { $limit } places on the stage are taken. Try again when somebody has left.
problem-wings-full = The wings are full
    .detail = At most { $limit } people wait connected until they agree. Agree to be recorded, and connect then.
problem-spaces-full = Too many conversations
    .detail = This server keeps at most { $limit } conversations.
problem-subscribers-full = Too many are watching
    .detail = Try again in a few seconds.
problem-offer-malformed = The offer is not valid SDP
    .detail = { $line ->
        [0] It cannot be read.
       *[other] Line { $line } cannot be read there.
    }
problem-offer-refused = The offer cannot be accepted
    .detail = { $reason ->
        [video] A stage takes voices only: offer one audio section and no video.
        [no-audio] There is no audio section.
        [many-media] There is more than one audio section, or media of an unknown kind.
        [not-sending] The audio must be sendonly or sendrecv.
        [not-secure] The audio must be UDP/TLS/RTP/SAVPF.
        [no-opus] The audio must offer Opus (opus/48000/2).
        [no-rtcp-mux] The audio must offer rtcp-mux.
        [no-bundle] All sections must be in one BUNDLE group.
        [no-ice-credentials] One valid pair of ice-ufrag and ice-pwd is needed.
        [ice-lite] The client must not be ICE-lite: this server is.
        [no-fingerprint] A sha-256 fingerprint is needed.
        [bad-mid] Each section needs a mid of its own, a short token.
        [bad-setup] setup must be actpass, active or passive.
       *[other] It could not be used.
    }
problem-if-match-missing = If-Match is missing
    .detail = Send the session's ETag, or "*" for an ICE restart.
problem-if-match-stale = The session has changed
    .detail = Its ETag is a newer one. Restart ICE with If-Match: "*".
problem-fragment-malformed = The fragment is not valid
    .detail = { $line ->
        [0] It cannot be read.
       *[other] Line { $line } cannot be read there.
    }
problem-fragment-refused = The fragment cannot be accepted
    .detail = { $reason ->
        [no-credentials] One valid pair of ice-ufrag and ice-pwd is needed.
        [many-credentials] There is more than one pair of ice-ufrag and ice-pwd.
        [half-restart] An ICE restart changes both ice-ufrag and ice-pwd.
        [too-many-candidates] There are too many candidates.
       *[other] It could not be used.
    }
problem-rehearsal-refused = No rehearsal by this grant
    .detail = { $reason ->
        [expired] The grant has expired. Ask whoever runs this server for a new one: hiwar admin rehearsal-grant.
        [elsewhere] The grant is for an address that is not this server's own. Ask whoever runs this server for one of its own: hiwar admin rehearsal-grant.
       *[other] It could not be used.
    }
problem-format-unknown = Only as JSON
    .detail = This is told as JSON alone: leave out format, or say format=json.
problem-unavailable = Back in a moment
    .detail = A part of the service is busy or restarting. Please try again in a few seconds.
problem-disk-full = The disk of this server is almost full
    .detail = New conversations are refused until whoever runs the server has made room. Those on the air go on.
problem-storage = The disk takes no more
    .detail = Nothing could be saved. Whoever runs this server should look at its disk.
problem-not-host = Only the host may do this
    .detail = Ask the host, or have them hand over to you.
problem-not-co-host = Only hosts may do this
    .detail = The host or a co-host may do this. Ask one of them.
problem-not-themselves = Only they themselves may do this
    .detail = Nobody opens another person's microphone, or touches their connection. Ask them.
problem-not-below = You cannot do this to a host
    .detail = A co-host can do nothing to the host, to another co-host, or to themselves here.
problem-doors-shut = The doors are not open yet
    .detail = Come back when they open; the conversation's page says when.
problem-cancelled = Cancelled
    .detail = This conversation does not take place.
problem-time-malformed = Not a time
    .detail = Give the time as RFC 3339 writes it, such as 2026-12-01T20:00:00+03:00.
problem-in-the-past = That time is past
    .detail = Choose a time that is still to come.
problem-too-far-ahead = That time is too far ahead
    .detail = Choose a time within the next { $limit } days.
problem-doors-too-early = The doors would open too early
    .detail = They open at most { $limit } minutes before the start.
problem-reason-too-long = The reason is too long
    .detail = A reason has at most { $limit } characters.
problem-stage-locked = The stage is locked
    .detail = Whoever comes has to be called by a host. Raise a hand from the conversation's page.
problem-co-hosts-full = Enough co-hosts
    .detail = There are at most { $limit } co-hosts. Let one of them only speak first.
problem-people-full = Too many people were sent away
    .detail = A conversation remembers at most { $limit } people. Pardon some of those who were removed.
problem-not-on-stage = Not on the stage
    .detail = They are not on the stage now.
problem-already-on-stage = On the stage already
    .detail = They are on the stage, or have been called there.
problem-not-called = Not called to the stage
    .detail = Raise a hand, and come when a host calls you. A call waits for a minute.
problem-not-agreed = This is recorded
    .detail = Say first that you know that this conversation is recorded.
problem-removed = You were removed from the stage
    .detail = A host has removed you. You can go on listening.
problem-blocked = You were blocked
    .detail = A host has blocked you in this conversation.
problem-not-removed = Neither removed nor blocked
    .detail = There is nothing to take back.
problem-asking-closed = Nobody may ask to speak now
    .detail = The hosts take no hands at the moment.
problem-hands-full = Too many ask to speak
    .detail = { $limit } hands are up. Try again when some have been called.
problem-no-hand = No hand is up
    .detail = They do not ask to speak.
problem-participant-unknown = Nobody of that id
    .detail = This conversation knows nobody of that id.

# `hiwar draw verify`: of what a server said of a draw.
draw-unreadable = Cannot read { $file }: { $why }
draw-none = { $file } is not the record of a draw.
draw-of = Draw { $opening } of the conversation { $space }: { $drawn } tickets were drawn, { $listed } of them are listed, of { $networks } networks.
draw-vouched = By the server's word { $followers } of them follow the host, and { $earlier } heard an earlier conversation: they are drawn apart, and each class has its part of the ranks while it waits. Whether that word was true cannot be seen here.
draw-late = { $tickets } more came in the moment in which the counts were put together; they have their rank among the others. That all of these are listed cannot be seen.
draw-timed = For the first { $timed } there was a time at once. No network has more than { $most } tickets in the first round.
draw-holds-seal = Holds: the record is sealed by the key { $key }.
draw-fails-seal = Does NOT hold: the record was changed after it was sealed, or the seal is forged.
draw-fails-key = Does NOT hold: the record is sealed by another key than you gave: { $key }.
draw-holds-commitment = Holds: the secret is what was committed to: { $commitment }.
draw-fails-commitment = Does NOT hold: the secret is not what was committed to.
draw-fails-promised = Does NOT hold: this is not the commitment that you read before the draw. In the record it is { $commitment }.
draw-holds-order = Holds: everybody's lot was drawn again, and the order is that of the lots.
draw-fails-order = Does NOT hold: somebody is not where their lot puts them.
draw-holds-counts = Holds: every count by which ranks were given is that of the listed tickets.
draw-fails-workers = Does NOT hold: the workers say that they drew { $tickets } tickets, and the counts say otherwise.
draw-fails-surplus = Does NOT hold: { $tickets } tickets are listed that were not counted where they lie.
draw-fails-unlisted = Not shown: { $tickets } tickets were counted and are not listed. Whether they were drawn fairly cannot be seen.
draw-ticket = Your ticket is listed: rank { $rank }, and its place was to be free { $seconds } s after the draw.
draw-ticket-untimed = Your ticket is listed: rank { $rank }. When its place would be free could not be said yet.
draw-ticket-none = Your ticket is NOT listed in this record.
draw-ticket-other = Your ticket is of draw { $opening }, and this is the record of another.
draw-ticket-bad = What you gave is no ticket.
draw-whole = All of it holds.
draw-not-whole = Not all of it holds.

# `hiwar door`: the diary of a door, and the page beside it.
diary-none = There is no diary of { $space }: it had no door, or nobody has come yet.
diary-made = Made { $lines } and { $page }.
diary-unreadable = Cannot read { $file }: { $why }
diary-key = Sealed by the key { $key }.
diary-other-key = Does NOT hold: it is sealed by another key than you gave.
diary-fault = Line { $line }: { $what }
diary-fault-unreadable = it is no line of a diary.
diary-fault-broken = it does not go on from the line before: something was changed, left out or put in there.
diary-fault-unsealed = its seal is not that of the server.
diary-fault-foreign = it is of another conversation, or of another server.
diary-fault-number = its number is not the next.
diary-fault-early = it begins before the one before has ended.
diary-fault-version = it has not the fields of the version by which its file began.
diary-fault-newer = its file is of a newer version: verify it with a newer program.
diary-more = And { $faults } more.
diary-before = Minutes that came before the first of this file, and are not in it: { $minutes }.
diary-untold = Seconds between minutes of which none tells: { $seconds }. The server was not running, or the door was closed.
diary-whole = All of it holds: { $minutes } minutes, none changed, put in, or left out between them.
diary-not-whole = Not all of it holds.
diary-title = The diary of the door: { $space }
diary-about = What happened at the door of this conversation, minute by minute. The file beside this page has all the figures, sealed by the server and chained line to line: hiwar door verify FILE says whether any was changed. There are no addresses in it.
diary-plot = Requests in each minute (line), and people inside (area)
diary-peak = Most requests came in the minute of { $time }: { $asked }, with { $tickets } new tickets.
diary-people = Of the tickets that were counted, { $first } % were the first or second of their address, and { $many } % the 17th or later. Where many people come, the first figure is large; where few ask often, the second is.
diary-spread = At the busiest, { $part } % of a minute's requests came from one sixty-fourth of all addresses. A crowd is spread evenly: about 2 % each.
diary-head-time = Minute (UTC)
diary-head-asked = Requests
diary-head-tickets = New tickets
diary-head-entered = Let in
diary-head-kept = In time
diary-head-late = Late
diary-head-inside = Inside
diary-head-waiting = Waiting
diary-head-away = Sent away
diary-head-first = First or second of their address
diary-head-part = Largest part
diary-head-level = Level
diary-head-notes = Notes
diary-note-drawing = whoever came was drawn
diary-note-queue = there was a queue
diary-note-house = the house began anew; what happened just before is missing
diary-note-workers = workers that began or ended: { $count }
diary-note-mended = the line before was not finished
