# Hiwar in English. The same keys stand in ../ar/app.ftl; `npm run check` compares them.
# Messages named page-… and player-… are also resolved into the light page of a space at build time
# (scripts/page.mjs): there, only plain variables are allowed.

## The name, and what both languages share

brand = Hiwar
tagline = A few people talk. Anyone listens.
language-other = العربية

## What plays (page and app)

player-listen = Listen
player-pause = Pause
player-connecting = Connecting …
player-waiting = Connected. The sound starts with the conversation.
player-reconnecting = The connection was lost. Trying again by itself …
player-away = The stage broke off and is coming back. Stay here: you need do nothing.
player-blocked = Your browser wants one more press before it plays sound.
player-unsupported = This browser cannot play the live sound. You can open it in an audio player:
player-refused = You need an invitation link to listen to this conversation.
player-missing = There is no such conversation here.
player-volume = Volume
player-latency = You hear the stage about { $seconds } s after it is said.
player-crowded = A little later than usual, so that there is room for everyone.
player-latency-hls = In this browser the sound comes several seconds after it is said.
player-behind = { $behind } behind live, said at { $time }.
player-failed = That could not be played. Try again in a moment.
player-to-live = Back to live
page-wait-soon = There is no place at this moment. This page asks again by itself in about { $left }.
page-wait-draw = Many people came at once. Everyone who comes in this minute is drawn; you are told your time in about { $left }.
page-wait-place = You have a place, in about { $left }. You may close this page: if you are back at most ten minutes late, the next free place is yours, without waiting in line again.
page-wait-rank = More people came than can listen at once, and no place is expected within half an hour. This page asks again by itself in about { $left }.
page-wait-kept = Your turn is kept.
page-wait-turn = More people came than can listen at once. Your turn is kept. You will probably have a place in about { $place }; this is an estimate, and no promise. This page asks again by itself in about { $left }.
page-wait-recording = The recording will be here when the conversation is over.
page-wait-in = It is your turn, and the sound has begun.
page-wait-calendar = Put it in your calendar
page-wait-delayed = Listen now, some seconds later

## The page of a space

page-title = { $title } · Hiwar
page-live = Live
page-scheduled = Planned
page-open = Not started yet
page-ended = Ended
page-posted = Recording
page-cancelled = Cancelled
page-speaking = speaking
page-muted = muted
page-now = { $name } is speaking
page-nobody = Nobody is speaking right now
page-level = Crowded: level { $level } of 5. What that means
page-empty-stage = Nobody is on the stage yet
page-stage-link = Go to the stage
page-home = All conversations
page-replay-preparing = The recording will be here in a moment.
page-replay-review = The recording is posted here after the host has heard it.
page-replay-removed = The recording was removed on { $date }.
page-replay-none = There is no recording of this conversation.
page-replay-position = Position
page-replay-position-text = { $position } of { $duration }
page-replay-back = Back { $seconds } seconds
page-replay-forward = Forward { $seconds } seconds
page-replay-speed = Speed
page-replay-download = Download
page-open-elsewhere = Open in another player
page-host = host
page-co-host = co-host
page-speaker = speaker
page-listener = listener
page-recording = Recorded
page-begins = Begins: { $when }
page-doors = The doors open: { $when }
page-awaits = It is time. It begins as soon as the host is here.
page-postponed = Postponed.
page-cancelled-why = This conversation does not take place.
page-ask = Ask to speak
page-react = Reactions
page-react-heart = Heart
page-react-applause = Applause
page-react-laugh = Laughter
page-react-wow = Wow
page-react-agree = I agree
page-react-sent = Sent.
page-react-slower = A little slower, please.
page-react-off = Very many people are listening, so there are no reactions for a while.

## When it begins

time-left = in { $left }
time-yours = It begins when you press Start.
time-by-hand = It begins when the host starts it.
time-by-hand-late = It is time. It begins when the host starts it.
time-by-itself = It begins by itself if a host or co-host is on the stage then.

## Landing

home-heading = Live now
home-lead = Press a conversation and listen. No account, nothing to install.
home-empty-heading = It is quiet here
home-empty = No public conversation is live at this moment.
home-scheduled = Soon
home-recordings = Recordings
home-listen = Listen
home-replay = Listen to the recording
home-listeners = { $count ->
    [zero] no listeners yet
    [one] one listener
    [two] two listeners
    [few] { $count } listeners
    [many] { $count } listeners
   *[other] { $count } listeners
}
home-with = With { $names }
home-host = Start a conversation
home-loading = Looking for conversations …
not-found-heading = Nothing is here
not-found = This address leads nowhere. Perhaps a part of the link is missing.
back-home = To all conversations

## Creating a space

host-heading = Start a conversation
host-lead = Name it, then check your microphone. Nobody hears you before you press Start.
host-title = Title
host-title-hint = People see this before they listen.
host-title-missing = Please give the conversation a title.
host-name = Your name on the stage
host-name-missing = Please give a name.
host-language = Language of the conversation
host-language-ar = Arabic
host-language-en = English
host-when = When
host-when-now = When I press Start
host-when-now-hint = Listeners may come in at once and wait.
host-when-planned = At a time of its own
host-when-planned-hint = Listeners may come in ten minutes before.
host-starts = Day and time
host-starts-hint = By your own clock: { $zone }.
host-starts-missing = Please choose a time that is still to come.
host-begins = When it is time
host-begins-by-itself = It begins by itself
host-begins-by-itself-hint = If a host or co-host is on the stage; otherwise as soon as one comes.
host-begins-by-hand = I start it by hand
host-begins-by-hand-hint = Listeners wait until you press Start.
host-asking = Listeners may ask to speak
host-asking-hint = They raise a hand; you call them to the stage, or not. You can change this at any time.
host-audience = Who can listen
host-audience-public = Everyone
host-audience-public-hint = Listed on the first page.
host-audience-unlisted = Anyone with the link
host-audience-unlisted-hint = Not listed anywhere.
host-audience-invited = Invited people
host-audience-invited-hint = Only with an invitation link.
host-recording = Record the conversation
host-recording-hint = You too are recorded, and everyone who speaks must agree first.
host-posting = When the recording is posted
host-posting-at_once = At once
host-posting-at_once-hint = The replay appears a few seconds after the end.
host-posting-after_review = After I have heard it
host-posting-after_review-hint = Until then nobody else hears it. You can cut off its beginning and its end, or delete it.
host-clips = Listeners may make clips
host-clips-hint = Of up to 90 seconds, to share.
host-tracks = Keep a track of each speaker
host-tracks-hint = So that somebody can be taken out of the recording later; it takes about twice the room on the disk.
host-create = Create
host-creating = Creating …
host-no-pass-heading = You need a hosting link
host-no-pass = Whoever runs this server has a link for hosts. Open it, and this page lets you start.

## The microphone

mic-heading = Check your microphone
mic-ask = Your browser will ask for permission. Nobody hears you yet.
mic-allow = Allow the microphone
mic-device = Microphone
mic-device-default = Default microphone
mic-level = Level
mic-say = Say something …
mic-heard = We hear you well.
mic-quiet = We hear you, but softly. Come a little closer.
mic-loud = That is very loud. Move back a little.
mic-nothing = We hear nothing. Is the microphone muted, or is it another one?
mic-denied = The browser was not allowed to use the microphone. Allow it in the address bar, then try again.
mic-missing = No microphone was found. Plug one in, then try again.
mic-busy = Another program is using the microphone. Close it, then try again.
mic-insecure = Browsers give the microphone only to secure addresses (https) and to this computer itself.
mic-retry = Try again

## The stage

stage-name-heading = You are invited to speak
stage-name-lead = Under which name should people see you?
stage-name = Your name
stage-continue = Continue
stage-join = Go on the stage
stage-start = Start now
stage-start-hint = From then on listeners hear the stage.
stage-connecting = Connecting to the stage …
stage-on-air = You are on air
stage-off-air = Only the stage hears you
stage-green = The stage hears each other. The audience does not hear you yet.
stage-muted = You are muted
stage-muted-by-other = A host has muted you. Only you can open your microphone again.
stage-reconnecting = The connection to the stage was lost. Coming back by itself …
stage-reconnected = You are back on the stage.
stage-mute = Mute
stage-unmute = Unmute
stage-leave = Leave the stage
stage-end = End for everyone
stage-end-confirm = End the conversation for everyone?
stage-end-yes = Yes, end it
stage-end-no = Keep talking
stage-ended = The conversation has ended
stage-to-page = To the replay
stage-you = you
page-speakers = On the stage
stage-hear-press = Press here to hear the others
stage-recording-off = Not recorded
stage-recording-paused = Recording is paused. The conversation goes on.
stage-no-pass-heading = This link is not complete
stage-no-pass = To speak you need the whole link that the host gave you. To listen, open the page of the conversation.
stage-listen-instead = Just listen
stage-now-live = The conversation has started. Listeners hear you now.
stage-someone-joined = { $name } came on the stage.
stage-someone-left = { $name } left the stage.
stage-someone-asks = { $name } asks to speak.
stage-someone-called = { $name } was called to the stage.
stage-someone-comes = { $name } is coming to the stage.
stage-someone-declined = { $name } is not coming to the stage.
stage-you-called = You are called to the stage
stage-you-speaker = You are a speaker now.
stage-you-co-host = You are a co-host now: you may call people up, mute them and send them back.
stage-you-host = You are the host now.
stage-you-listener = You are in the audience again. You may ask to speak.
stage-you-removed = You were taken off the stage. You can go on listening.
stage-you-blocked = You were blocked by the host of this conversation.
stage-you-pardoned = You may come to the stage again.
stage-asks = { $count ->
    [zero] Nobody asks
    [one] One hand is up
    [two] Two hands are up
    [few] { $count } hands are up
    [many] { $count } hands are up
   *[other] { $count } hands are up
}
stage-shortcut = Key M mutes and unmutes
stage-left = You left the stage
stage-rejoin = Go back on the stage
stage-key-off = Turn the key M off
stage-key-on = Turn the key M on
stage-mic-silent = Your microphone gives no sound. Is it switched off?
stage-mic-gone = Your microphone is gone. Plug it in again or choose another one.
stage-mic-again = Check the microphone again
stage-replaced = You are on the stage somewhere else
stage-replaced-hint = You came on the stage in another tab or on another device, so this one has left it.
stage-take-back = Come on the stage here

## Before the stage

consent-heading = This conversation is recorded
consent = Whatever you say on the stage is recorded with your name and may be heard later by anyone who may hear the conversation.
consent-yes = I agree to be recorded
plan-heading = The doors are still shut
plan = When they open, this page goes on by itself: first your microphone, then the stage.
plan-host = When they open, this page goes on by itself: first your microphone, then the stage. Until then you can change things here.

## Asking to speak

ask-heading = Ask to speak
ask-lead = The host sees your name and may call you to the stage. Until then nobody hears you.
ask-raise = Raise your hand
ask-lower = Lower your hand
ask-up = Your hand is up
ask-next = You are next.
ask-place = { $count ->
    [zero] Nobody asks before you.
    [one] One person asks before you.
    [two] Two people ask before you.
    [few] { $count } people ask before you.
    [many] { $count } people ask before you.
   *[other] { $count } people ask before you.
}
ask-stay = Keep this page open: when you are called, it asks you.
ask-closed = Nobody can ask to speak at the moment.
ask-called-title = You are called
ask-called = Your seat is kept for a moment. If you come, your microphone is next.
ask-left = { $seconds } s left
ask-accept = Go on the stage
ask-decline = No, thank you
ask-lapsed = Your seat was given back, because no answer came. You may ask again.
ask-dismissed = The host took your hand down. You may ask again.
ask-listening = Listen meanwhile

## For whoever hosts

tools-heading = The conversation
tools-asking = Listeners may ask to speak
tools-lock = Lock the stage
tools-lock-hint = Then only those whom you call can come on it.
tools-mute-all = Mute everyone else
tools-muted-all = Everyone else is muted.
tools-retitle = Change the title
tools-save = Save
tools-start = Start before the time
tools-start-confirm = Start now?
tools-start-hint = The doors open at once, and listeners hear the stage as soon as somebody is on it.
tools-postpone = Postpone
tools-postpone-yes = Postpone
tools-cancel = Cancel the conversation
tools-cancel-confirm = Cancel the conversation for good?
tools-cancel-yes = Yes, cancel it
tools-cancel-no = No, keep it
tools-reason = Reason
tools-reason-hint = If you want to give one. Everyone sees it.
hold-heading = Music until the start
hold-none = Whoever waits hears silence. You can give them music: it is played again and again until the start. Of a long piece the first three minutes are taken.
hold-has = Whoever waits hears your music again and again, until the start: { $length }.
hold-choose = Choose music
hold-change = Choose other music
hold-remove = Remove the music
hold-reading = Reading the file…
hold-sending = Sending it…
hold-given = Whoever waits hears your music.
hold-taken = Whoever waits hears silence.
hold-unreadable-large = The file is larger than 40 MB. Choose a smaller one, such as an MP3.
hold-unreadable-unknown = Your browser cannot read this file as sound. Try an MP3, M4A or WAV.
hands-heading = Asking to speak
hands-none = Nobody asks at the moment.
hands-closed = Listeners cannot ask at the moment.
hands-call = Call up
hands-call-name = Call up: { $name }
hands-dismiss = Not now
hands-dismiss-name = Not now: { $name }
hands-more = And { $count } more.
person-menu = What to do with { $name }
person-on-the-way = On the way to the stage
person-others = Not on the stage ({ $count })
person-called = called
person-coming = coming
person-removed = removed
person-blocked = blocked
person-mute = Mute
person-call = Call to the stage
person-make-co-host = Make co-host
person-unmake-co-host = Co-host no longer
person-unmake-co-host-confirm = Shall { $name } be a co-host no longer?
person-unmake-co-host-hint = They stay on the stage as a speaker.
person-hand-over = Hand over as host
person-hand-over-confirm = Make { $name } the host?
person-hand-over-hint = You become a co-host. Only the new host can give it back to you.
person-send-back = Back to the audience
person-send-back-confirm = Send { $name } back to the audience?
person-send-back-hint = They may ask to speak again.
person-remove = Remove from the stage
person-remove-confirm = Remove { $name }?
person-remove-hint = They go on listening, but may not ask to speak again until you let them.
person-block = Block
person-block-confirm = Block { $name }?
person-block-hint = Their pass is worth nothing here any more.
person-pardon = Let them come again
sheet-back = Back

## The recording, before it is posted

review-heading = The recording
review-making = The recording is being prepared. It can be heard here in a moment.
review-missing = No replay could be made of this recording. Nobody can hear it.
review-lead = Nobody else hears it yet. Listen, cut off what is not to be heard, and post it.
review-lead-co-host = Nobody but those who host hears it yet. The host posts it.
review-start = Beginning
review-end = End
review-start-here = From where it plays
review-end-here = To where it plays
review-start-hear = Hear the beginning
review-end-hear = Hear the end
review-kept = { $length } will be heard.
review-too-short = Too little would be left: keep at least one second.
review-cut = What you cut off is heard by nobody any more.
review-post = Post the recording
review-done = The recording is posted.
review-delete = Delete the recording
review-delete-confirm = Delete the recording for good?
review-delete-hint = It cannot be brought back.
review-delete-yes = Yes, delete it
review-delete-no = No, keep it

## Links to share

share-heading = Invite people
share-listen = To listen
share-listen-hint = For anyone you like.
share-speak = To speak
share-speak-hint = Whoever has this link can come on the stage. Give it to speakers only.
share-copy = Copy
share-copied = Copied
share-open = Open the page

## When something is refused or breaks (shown when the server sent no sentence of its own)

problem-heading = That did not work
problem-network = The server cannot be reached. Check the connection and try again.
problem-busy = The server is busy. Try again in a moment.
problem-expired = This link is no longer valid. Ask for a new one.
problem-other = Something went wrong (number { $status }). Try again in a moment.
problem-retry = Try again

## The live page of who hosts, and of who runs the server

watch-open = Live numbers
watch-heading = Live numbers
watch-server = The whole server
watch-no-host = Only those who host this conversation see its numbers. Open them from its stage.
watch-no-operator = This page is for whoever runs the server. Its link comes from: hiwar admin watch-link
watch-level = Level { $level } of 5.
watch-level-unknown = How crowded it is, nobody has said yet.
watch-level-plot = How crowded it is, from 0 to 5
watch-level-line = Level
watch-plots = Since this page was opened
watch-tables = Now, in numbers
watch-people = People
watch-per-minute = In the last minute
watch-now = Now
watch-listening = Listening
watch-waiting = Waiting
watch-arrived = Came in the last minute
watch-admitted = Let in in the last minute
watch-away = Turned away in the last minute
watch-line-arrived = Came
watch-line-admitted = Let in
watch-line-away = Turned away
watch-line-sent-away = Told to come again
watch-line-kept = On time
watch-line-late = Late
watch-joined = Let in altogether
watch-away-ever = Turned away altogether
watch-door = The door
watch-door-open = The door is open: whoever comes finds a place.
watch-door-gathering = There is no room: whoever comes now is drawn.
watch-door-queue = There is no room: whoever comes is told when.
watch-places = Places
watch-inside = Inside
watch-without-time = No place within half an hour
watch-arrived-ever = Came, altogether
watch-asked = Requests, also of those who wait and ask again
watch-kept = Promises kept: in at the time they were told
watch-late = Let in later than they were told
watch-sent-away = Told to come again, and promised nothing
watch-classes = By class
watch-class = Class
watch-class-returning = Were inside a moment ago
watch-class-follower = Follow the host
watch-class-earlier = Heard an earlier conversation
watch-class-anybody = Everybody else
watch-workers = Workers
watch-worker = Worker
watch-at-workers = At each worker, since it began
watch-reasons = Why
watch-of-busy = Busy
watch-of-behind = Behind (ms)
watch-of-line = Line
watch-of-handshakes = Handshakes
watch-of-memory = Memory
watch-of-files = Connections
watch-reason-late = sound comes late
watch-reason-line = the line is nearly full
watch-reason-handshakes = many secure connections are being made
watch-reason-memory = memory is nearly full
watch-reason-files = nearly no connection is left
watch-reason-crowd = more people came than there are places
watch-reason-operator = ordered by hand
watch-minutes = By the minute
watch-time = Time
watch-changes = Levels in the last 24 hours
watch-no-changes = No level has changed.
watch-change-server = The server: from level { $before } to { $level }
watch-change-space = The conversation: from level { $before } to { $level }
