# حوار بالعربية. المفاتيح نفسها في ../en/app.ftl ويقارن بينهما `npm run check`.
# الرسائل التي تبدأ بـ page- أو player- تدخل أيضًا في صفحة الحوار الخفيفة عند البناء (scripts/page.mjs):
# فلا يُسمح فيها إلا بمتغيرات بسيطة.

## الاسم وما تشترك فيه اللغتان

brand = حوار
tagline = قِلّة تتحدث، والجميع يستمع.
language-other = English

## المشغّل (في الصفحة والتطبيق)

player-listen = استمع
player-pause = إيقاف مؤقت
player-connecting = جارٍ الاتصال…
player-waiting = أنت متصل. يبدأ الصوت مع بداية الحوار.
player-reconnecting = انقطع الاتصال، ونعيد المحاولة تلقائيًا…
player-away = انقطعت المنصة وهي في طريقها إلى العودة. ابقَ هنا، لا يلزمك فعل شيء.
player-blocked = يطلب متصفحك ضغطة أخرى قبل تشغيل الصوت.
player-unsupported = لا يستطيع هذا المتصفح تشغيل البث المباشر. يمكنك فتحه في مشغّل صوتيات:
player-refused = يلزمك رابط دعوة للاستماع إلى هذا الحوار.
player-missing = لا يوجد حوار بهذا العنوان.
player-volume = مستوى الصوت
player-latency = يصلك الكلام بعد قوله بنحو { $seconds } ثانية.
player-crowded = هذا أطول قليلًا من المعتاد، ليتسع البث للجميع.
player-latency-hls = يصلك الصوت في هذا المتصفح بعد قوله ببضع ثوانٍ.
player-behind = متأخر عن البث المباشر { $behind }، وقيل هذا الساعة { $time }.
player-failed = تعذّر التشغيل. حاول مجددًا بعد قليل.
player-to-live = العودة إلى البث المباشر
page-wait-soon = لا مكان في هذه اللحظة. وستسأل هذه الصفحة مجددًا وحدها. المتبقي تقريبًا: { $left }.
page-wait-draw = جاء كثيرون في وقت واحد. تُجرى قرعة بين كل من يصل في هذه الدقيقة، ثم تعرف موعدك. المتبقي تقريبًا: { $left }.
page-wait-place = مكانك محجوز. لك أن تغلق هذه الصفحة: إن عدت متأخرًا عشر دقائق على الأكثر فلك أول مكان يخلو، ولا تنتظر دورك من جديد. المتبقي تقريبًا: { $left }.
page-wait-rank = الحاضرون أكثر مما يمكن أن يستمع معًا، ولا يُتوقع مكان خلال نصف ساعة. وستسأل هذه الصفحة مجددًا وحدها. المتبقي تقريبًا: { $left }.
page-wait-kept = دورك محفوظ.
page-wait-turn = الحاضرون أكثر مما يمكن أن يستمع معًا. دورك محفوظ. الوقت المتوقع حتى يخلو لك مكان: { $place } تقريبًا، وهذا تقدير لا وعد. وستسأل هذه الصفحة مجددًا وحدها. المتبقي تقريبًا: { $left }.
page-wait-recording = وستجد التسجيل هنا بعد انتهاء الحوار.
page-wait-in = حان دورك، وبدأ الصوت.
page-wait-calendar = أضِفه إلى تقويمك
page-wait-delayed = استمع الآن متأخرًا بضع ثوانٍ

## صفحة الحوار

page-title = { $title } · حوار
page-live = مباشر
page-scheduled = له موعد
page-open = لم يبدأ بعد
page-ended = انتهى
page-posted = تسجيل
page-cancelled = أُلغي
page-speaking = يتحدث الآن
page-muted = الميكروفون مكتوم
page-now = المتحدث الآن: { $name }
page-nobody = لا أحد يتحدث الآن
page-level = ازدحام: المستوى { $level } من 5. ما معناه؟
page-empty-stage = لا أحد على المنصة بعد
page-stage-link = إلى المنصة
page-home = كل الحوارات
page-replay-preparing = سيظهر التسجيل هنا بعد قليل.
page-replay-review = يُنشر التسجيل هنا بعد أن يراجعه المضيف.
page-replay-removed = حُذف التسجيل في { $date }.
page-replay-none = لا يوجد تسجيل لهذا الحوار.
page-replay-position = الموضع
page-replay-position-text = { $position } من { $duration }
page-replay-back = رجوع { $seconds } ثانية
page-replay-forward = تقديم { $seconds } ثانية
page-replay-speed = السرعة
page-replay-download = تنزيل
page-open-elsewhere = فتح في مشغّل آخر
page-host = المضيف
page-co-host = مضيف مشارك
page-speaker = متحدث
page-listener = مستمع
page-recording = يُسجَّل
page-begins = البداية: { $when }
page-doors = فتح الأبواب: { $when }
page-awaits = حان الموعد. يبدأ الحوار فور حضور المضيف.
page-postponed = أُجِّل.
page-cancelled-why = لن يُعقد هذا الحوار.
page-ask = اطلب الكلمة
page-react = التفاعلات
page-react-heart = قلب
page-react-applause = تصفيق
page-react-laugh = ضحك
page-react-wow = دهشة
page-react-agree = أوافق
page-react-sent = أُرسل.
page-react-slower = على مهلك قليلًا.
page-react-off = عدد المستمعين كبير جدًا، فتوقفت التفاعلات لبعض الوقت.

## موعد البداية

time-left = بعد { $left }
time-yours = يبدأ حين تضغط «ابدأ».
time-by-hand = يبدأ حين يبدؤه المضيف.
time-by-hand-late = حان الموعد. يبدأ حين يبدؤه المضيف.
time-by-itself = يبدأ من تلقاء نفسه إن كان على المنصة حينها مضيف أو مضيف مشارك.

## الصفحة الأولى

home-heading = مباشر الآن
home-lead = اختر حوارًا واستمع. لا حساب، ولا شيء للتثبيت.
home-empty-heading = الهدوء يعمّ المكان
home-empty = لا يوجد حوار عام مباشر في هذه اللحظة.
home-scheduled = قريبًا
home-recordings = تسجيلات
home-listen = استمع
home-replay = استمع إلى التسجيل
home-listeners = { $count ->
    [zero] لا مستمعين بعد
    [one] مستمع واحد
    [two] مستمعان
    [few] { $count } مستمعين
    [many] { $count } مستمعًا
   *[other] { $count } مستمع
}
home-with = مع { $names }
home-host = ابدأ حوارًا
home-loading = جارٍ البحث عن الحوارات…
not-found-heading = لا شيء هنا
not-found = هذا العنوان لا يؤدي إلى شيء. لعل جزءًا من الرابط ناقص.
back-home = إلى كل الحوارات

## إنشاء حوار

host-heading = ابدأ حوارًا
host-lead = سمِّ الحوار ثم افحص الميكروفون. لن يسمعك أحد قبل أن تضغط «ابدأ».
host-title = العنوان
host-title-hint = يراه الناس قبل أن يستمعوا.
host-title-missing = من فضلك اكتب عنوانًا للحوار.
host-name = اسمك على المنصة
host-name-missing = من فضلك اكتب اسمًا.
host-language = لغة الحوار
host-language-ar = العربية
host-language-en = الإنجليزية
host-when = متى؟
host-when-now = حين أضغط «ابدأ»
host-when-now-hint = يدخل المستمعون من الآن وينتظرون.
host-when-planned = في موعد محدد
host-when-planned-hint = يدخل المستمعون قبله بعشر دقائق.
host-starts = اليوم والساعة
host-starts-hint = بحسب ساعتك: { $zone }.
host-starts-missing = من فضلك اختر موعدًا لم يمضِ بعد.
host-begins = عند حلول الموعد
host-begins-by-itself = يبدأ من تلقاء نفسه
host-begins-by-itself-hint = إن كان على المنصة مضيف أو مضيف مشارك، وإلا ففور صعود أحدهما.
host-begins-by-hand = أبدؤه بنفسي
host-begins-by-hand-hint = ينتظر المستمعون حتى تضغط «ابدأ».
host-asking = للمستمعين أن يطلبوا الكلمة
host-asking-hint = يرفع أحدهم يده فتدعوه إلى المنصة أو لا تدعوه. ولك تغيير ذلك في أي وقت.
host-audience = من يستطيع الاستماع؟
host-audience-public = الجميع
host-audience-public-hint = يظهر في الصفحة الأولى.
host-audience-unlisted = كل من لديه الرابط
host-audience-unlisted-hint = لا يظهر في أي قائمة.
host-audience-invited = المدعوون فقط
host-audience-invited-hint = برابط دعوة لا غير.
host-recording = سجّل الحوار
host-recording-hint = يُسجَّل صوتك أيضًا، وعلى كل متحدث أن يوافق أولًا.
host-posting = متى يُنشر التسجيل؟
host-posting-at_once = فورًا
host-posting-at_once-hint = يظهر التسجيل بعد النهاية بثوانٍ.
host-posting-after_review = بعد أن أراجعه
host-posting-after_review-hint = لا يسمعه أحد غيرك قبل ذلك. ولك أن تقص أوله وآخره أو تحذفه.
host-clips = للمستمعين أن يقتطعوا مقاطع
host-clips-hint = مدة المقطع حتى 90 ثانية، للمشاركة.
host-tracks = احفظ مسارًا لكل متحدث
host-tracks-hint = ليمكن لاحقًا سحب أحدهم من التسجيل، ويشغل ذلك ضعف المساحة تقريبًا على القرص.
host-create = إنشاء
host-creating = جارٍ الإنشاء…
host-no-pass-heading = يلزمك رابط استضافة
host-no-pass = لدى من يدير هذا الخادم رابط خاص بالمضيفين. افتحه فتتيح لك هذه الصفحة البدء.

## الميكروفون

mic-heading = افحص الميكروفون
mic-ask = سيطلب المتصفح إذنك. لا أحد يسمعك بعد.
mic-allow = السماح بالميكروفون
mic-device = الميكروفون
mic-device-default = الميكروفون الافتراضي
mic-level = المستوى
mic-say = قل شيئًا…
mic-heard = نسمعك جيدًا.
mic-quiet = نسمعك، لكن بصوت خافت. اقترب قليلًا.
mic-loud = الصوت مرتفع جدًا. ابتعد قليلًا.
mic-nothing = لا نسمع شيئًا. هل الميكروفون مكتوم، أم أنك تستخدم غيره؟
mic-denied = لم يُسمح للمتصفح باستخدام الميكروفون. اسمح به من شريط العنوان ثم حاول مجددًا.
mic-missing = لم نجد ميكروفونًا. صِل واحدًا ثم حاول مجددًا.
mic-busy = يستخدم برنامج آخر الميكروفون. أغلقه ثم حاول مجددًا.
mic-insecure = لا تتيح المتصفحات الميكروفون إلا للعناوين الآمنة (https) ولهذا الجهاز نفسه.
mic-retry = حاول مجددًا

## المنصة

stage-name-heading = أنت مدعو إلى الحديث
stage-name-lead = بأي اسم تحب أن يراك الناس؟
stage-name = اسمك
stage-continue = متابعة
stage-join = اصعد إلى المنصة
stage-start = ابدأ الآن
stage-start-hint = من تلك اللحظة يسمع المستمعون المنصة.
stage-connecting = جارٍ الاتصال بالمنصة…
stage-on-air = أنت على الهواء
stage-off-air = لا يسمعك إلا من على المنصة
stage-green = من على المنصة يسمع بعضهم بعضًا، أما الجمهور فلا يسمعكم بعد.
stage-muted = صوتك مكتوم
stage-muted-by-other = كتم أحد المضيفين صوتك. أنت وحدك من يستطيع فتح ميكروفونك.
stage-reconnecting = انقطع الاتصال بالمنصة، وستعود إليها تلقائيًا…
stage-reconnected = عدت إلى المنصة.
stage-mute = كتم صوتي
stage-unmute = إلغاء الكتم
stage-leave = مغادرة المنصة
stage-end = إنهاء الحوار للجميع
stage-end-confirm = هل تنهي الحوار للجميع؟
stage-end-yes = نعم، أنهِه
stage-end-no = نواصل الحديث
stage-ended = انتهى الحوار
stage-to-page = إلى التسجيل
stage-you = أنت
page-speakers = على المنصة
stage-hear-press = اضغط هنا لتسمع الآخرين
stage-recording-off = لا يُسجَّل
stage-recording-paused = توقف التسجيل مؤقتًا، والحوار مستمر.
stage-no-pass-heading = هذا الرابط غير كامل
stage-no-pass = للحديث يلزمك الرابط الكامل الذي أعطاك إياه المضيف. وللاستماع افتح صفحة الحوار.
stage-listen-instead = أستمع فقط
stage-now-live = بدأ الحوار. يسمعك الجمهور الآن.
stage-someone-joined = صعد { $name } إلى المنصة.
stage-someone-left = غادر { $name } المنصة.
stage-someone-asks = { $name } يطلب الكلمة.
stage-someone-called = دُعي { $name } إلى المنصة.
stage-someone-comes = { $name } في طريقه إلى المنصة.
stage-someone-declined = لن يصعد { $name } إلى المنصة.
stage-you-called = أنت مدعو إلى المنصة
stage-you-speaker = أنت متحدث الآن.
stage-you-co-host = أنت مضيف مشارك الآن: لك أن تدعو إلى المنصة وتكتم الأصوات وتعيد إلى الجمهور.
stage-you-host = أنت المضيف الآن.
stage-you-listener = عدت إلى الجمهور، ولك أن تطلب الكلمة.
stage-you-removed = أُنزلت عن المنصة، ولك أن تواصل الاستماع.
stage-you-blocked = حظرك مضيف هذا الحوار.
stage-you-pardoned = لك أن تعود إلى المنصة.
stage-asks = { $count ->
    [zero] لا يد مرفوعة
    [one] يد مرفوعة
    [two] يدان مرفوعتان
    [few] { $count } أيدٍ مرفوعة
    [many] { $count } يدًا مرفوعة
   *[other] { $count } يد مرفوعة
}
stage-shortcut = المفتاح M يكتم الصوت ويعيده
stage-left = غادرت المنصة
stage-rejoin = عُد إلى المنصة
stage-key-off = تعطيل المفتاح M
stage-key-on = تفعيل المفتاح M
stage-mic-silent = لا يصل صوت من ميكروفونك. هل هو مغلق؟
stage-mic-gone = انقطع ميكروفونك. أعد وصله أو اختر غيره.
stage-mic-again = تحقّق من الميكروفون من جديد
stage-replaced = أنت على المنصة في مكان آخر
stage-replaced-hint = صعدت إلى المنصة في نافذة أخرى أو من جهاز آخر، فغادرتها هذه النافذة.
stage-take-back = اصعد إلى المنصة هنا

## قبل المنصة

consent-heading = هذا الحوار يُسجَّل
consent = ما تقوله على المنصة يُسجَّل مع اسمك، وقد يسمعه لاحقًا كل من يحق له سماع الحوار.
consent-yes = أوافق على التسجيل
plan-heading = الأبواب مغلقة بعد
plan = حين تُفتح تتابع هذه الصفحة من تلقاء نفسها: الميكروفون أولًا، ثم المنصة.
plan-host = حين تُفتح تتابع هذه الصفحة من تلقاء نفسها: الميكروفون أولًا، ثم المنصة. ولك إلى ذلك الحين أن تغيّر ما تشاء هنا.

## طلب الكلمة

ask-heading = اطلب الكلمة
ask-lead = يرى المضيف اسمك وله أن يدعوك إلى المنصة. ولا يسمعك أحد قبل ذلك.
ask-raise = ارفع يدك
ask-lower = أنزل يدك
ask-up = يدك مرفوعة
ask-next = أنت التالي.
ask-place = { $count ->
    [zero] لا أحد قبلك.
    [one] قبلك شخص واحد.
    [two] قبلك شخصان.
    [few] قبلك { $count } أشخاص.
    [many] قبلك { $count } شخصًا.
   *[other] قبلك { $count } شخص.
}
ask-stay = أبقِ هذه الصفحة مفتوحة، فستسألك حين تُدعى.
ask-closed = طلب الكلمة غير متاح في هذه اللحظة.
ask-called-title = أنت مدعو
ask-called = مقعدك محجوز لك للحظات. إن أتيت فالميكروفون هو الخطوة التالية.
ask-left = بقي { $seconds } ث
ask-accept = اصعد إلى المنصة
ask-decline = لا، شكرًا
ask-lapsed = لم يصل جوابك فأُعطي المقعد لغيرك. ولك أن تطلب الكلمة من جديد.
ask-dismissed = أنزل المضيف يدك. ولك أن تطلب الكلمة من جديد.
ask-listening = استمع في هذه الأثناء

## للمضيفين

tools-heading = الحوار
tools-asking = للمستمعين أن يطلبوا الكلمة
tools-lock = أغلق المنصة
tools-lock-hint = فلا يصعد إليها إلا من تدعوه.
tools-mute-all = اكتم الجميع غيري
tools-muted-all = كُتم الجميع غيرك.
tools-retitle = غيّر العنوان
tools-save = حفظ
tools-start = ابدأ قبل الموعد
tools-start-confirm = هل نبدأ الآن؟
tools-start-hint = تُفتح الأبواب فورًا، ويسمع المستمعون المنصة متى صعد إليها أحد.
tools-postpone = أجِّل الموعد
tools-postpone-yes = تأجيل
tools-cancel = ألغِ الحوار
tools-cancel-confirm = هل تلغي الحوار نهائيًا؟
tools-cancel-yes = نعم، ألغِه
tools-cancel-no = لا، أبقِه
tools-reason = السبب
tools-reason-hint = إن أحببت ذكره. يراه الجميع.
hold-heading = موسيقى حتى البداية
hold-none = من ينتظر يسمع صمتًا. يمكنك أن تُسمعه موسيقى تُعاد مرة بعد مرة حتى البداية. ومن المقطوعة الطويلة تؤخذ الدقائق الثلاث الأولى.
hold-has = من ينتظر يسمع موسيقاك، تُعاد مرة بعد مرة حتى البداية: { $length }.
hold-choose = اختر موسيقى
hold-change = اختر موسيقى أخرى
hold-remove = احذف الموسيقى
hold-reading = تجري قراءة الملف…
hold-sending = يجري إرساله…
hold-given = من ينتظر يسمع موسيقاك.
hold-taken = من ينتظر يسمع صمتًا.
hold-unreadable-large = حجم الملف أكبر من ٤٠ ميغابايت. اختر ملفًا أصغر، مثل ملف MP3.
hold-unreadable-unknown = لا يستطيع متصفحك قراءة هذا الملف صوتًا. جرّب ملف MP3 أو M4A أو WAV.
hands-heading = طالبو الكلمة
hands-none = لا أحد يطلب الكلمة الآن.
hands-closed = طلب الكلمة مغلق الآن.
hands-call = دعوة
hands-call-name = دعوة: { $name }
hands-dismiss = ليس الآن
hands-dismiss-name = ليس الآن: { $name }
hands-more = وغيرهم { $count }.
person-menu = خيارات { $name }
person-on-the-way = في الطريق إلى المنصة
person-others = ليسوا على المنصة ({ $count })
person-called = دُعي
person-coming = قادم
person-removed = أُنزل
person-blocked = محظور
person-mute = كتم الصوت
person-call = دعوة إلى المنصة
person-make-co-host = إشراك في الاستضافة
person-unmake-co-host = إنهاء المشاركة في الاستضافة
person-unmake-co-host-confirm = هل تنهي مشاركة { $name } في الاستضافة؟
person-unmake-co-host-hint = يبقى على المنصة متحدثًا.
person-hand-over = تسليم الاستضافة
person-hand-over-confirm = هل تسلّم الاستضافة إلى { $name }؟
person-hand-over-hint = تصبح أنت مضيفًا مشاركًا، ولا يعيدها إليك إلا المضيف الجديد.
person-send-back = إعادة إلى الجمهور
person-send-back-confirm = هل تعيد { $name } إلى الجمهور؟
person-send-back-hint = له أن يطلب الكلمة من جديد.
person-remove = إنزال عن المنصة
person-remove-confirm = هل تُنزل { $name } عن المنصة؟
person-remove-hint = يواصل الاستماع، لكنه لا يطلب الكلمة إلى أن تسمح له.
person-block = حظر
person-block-confirm = هل تحظر { $name }؟
person-block-hint = لا يعود إذنه صالحًا هنا.
person-pardon = سماح بالعودة
sheet-back = رجوع

## التسجيل قبل نشره

review-heading = التسجيل
review-making = يجري تجهيز التسجيل، وسيمكنك سماعه هنا بعد قليل.
review-missing = تعذّر إعداد هذا التسجيل، ولا يستطيع أحد سماعه.
review-lead = لا يسمعه أحد غيرك بعد. استمع إليه، وقص ما لا تريد أن يُسمع، ثم انشره.
review-lead-co-host = لا يسمعه بعد إلا المضيفون، والمضيف هو من ينشره.
review-start = البداية
review-end = النهاية
review-start-here = من موضع التشغيل
review-end-here = إلى موضع التشغيل
review-start-hear = اسمع البداية
review-end-hear = اسمع النهاية
review-kept = سيُسمع منه { $length }.
review-too-short = لن يبقى إلا القليل جدًا. أبقِ ثانية واحدة على الأقل.
review-cut = ما تقصه لن يسمعه أحد بعد ذلك.
review-post = انشر التسجيل
review-done = نُشر التسجيل.
review-delete = احذف التسجيل
review-delete-confirm = هل تحذف التسجيل نهائيًا؟
review-delete-hint = لا يمكن استرجاعه بعد الحذف.
review-delete-yes = نعم، احذفه
review-delete-no = لا، أبقِه

## روابط للمشاركة

share-heading = ادعُ الناس
share-listen = للاستماع
share-listen-hint = لكل من تحب.
share-speak = للحديث
share-speak-hint = كل من لديه هذا الرابط يستطيع الصعود إلى المنصة، فلا تعطه إلا للمتحدثين.
share-copy = نسخ
share-copied = نُسخ
share-open = فتح الصفحة

## عند الرفض أو العطل (إن لم يرسل الخادم عبارة من عنده)

problem-heading = لم يتم ذلك
problem-network = تعذّر الوصول إلى الخادم. تحقق من الاتصال وحاول مجددًا.
problem-busy = الخادم مشغول. حاول مجددًا بعد قليل.
problem-expired = لم يعد هذا الرابط صالحًا. اطلب رابطًا جديدًا.
problem-other = حدث خطأ (رقم { $status }). حاول مجددًا بعد قليل.
problem-retry = حاول مجددًا

## The live page of who hosts, and of who runs the server

watch-open = الأرقام مباشرةً
watch-heading = الأرقام مباشرةً
watch-server = الخادم كلّه
watch-no-host = لا يرى أرقام هذا الحوار إلا من يديره. افتحها من منصّته.
watch-no-operator = هذه الصفحة لمن يدير الخادم. رابطها يأتي من الأمر: hiwar admin watch-link
watch-level = المستوى { $level } من 5.
watch-level-unknown = لم يُعرف بعدُ كم الازدحام.
watch-level-plot = كم الازدحام، من 0 إلى 5
watch-level-line = المستوى
watch-plots = منذ فُتحت هذه الصفحة
watch-tables = الآن، بالأرقام
watch-people = الناس
watch-per-minute = في الدقيقة الأخيرة
watch-now = الآن
watch-listening = يستمعون
watch-waiting = ينتظرون
watch-arrived = جاؤوا في الدقيقة الأخيرة
watch-admitted = دخلوا في الدقيقة الأخيرة
watch-away = لم يتّسع لهم المكان في الدقيقة الأخيرة
watch-line-arrived = جاؤوا
watch-line-admitted = دخلوا
watch-line-away = لم يتّسع لهم المكان
watch-line-sent-away = طُلب منهم العودة لاحقًا
watch-line-kept = في الموعد
watch-line-late = بعد الموعد
watch-joined = دخلوا إجمالًا
watch-away-ever = لم يتّسع لهم المكان إجمالًا
watch-door = الباب
watch-door-open = الباب مفتوح: من يأتي يجد مكانًا.
watch-door-gathering = لا مكان الآن: من يأتي يدخل القرعة.
watch-door-queue = لا مكان الآن: من يأتي يُقال له متى يدخل.
watch-places = الأماكن
watch-inside = في الداخل
watch-without-time = بلا مكان متوقع خلال نصف ساعة
watch-arrived-ever = جاؤوا إجمالًا
watch-asked = الطلبات، ومنها ما يكرّره المنتظرون
watch-kept = وعود صدقت: دخلوا في موعدهم
watch-late = دخلوا بعد موعدهم
watch-sent-away = طُلب منهم أن يعودوا لاحقًا بلا وعد
watch-classes = حسب الفئة
watch-class = الفئة
watch-class-returning = كانوا في الداخل قبل لحظات
watch-class-follower = يتابعون المضيف
watch-class-earlier = استمعوا إلى حوار سابق
watch-class-anybody = سائر الناس
watch-workers = العمليات
watch-worker = العملية
watch-at-workers = لدى كل عملية، منذ بدأت
watch-reasons = السبب
watch-of-busy = الانشغال
watch-of-behind = التأخر (م.ث)
watch-of-line = خط الإنترنت
watch-of-handshakes = المصافحات
watch-of-memory = الذاكرة
watch-of-files = الاتصالات
watch-reason-late = الصوت يتأخر
watch-reason-line = خط الإنترنت يكاد يمتلئ
watch-reason-handshakes = اتصالات آمنة كثيرة تُفتح معًا
watch-reason-memory = الذاكرة تكاد تمتلئ
watch-reason-files = لم يبقَ من الاتصالات إلا القليل
watch-reason-crowd = جاء أناس أكثر من الأماكن
watch-reason-operator = أُمر بذلك يدويًّا
watch-minutes = دقيقةً دقيقة
watch-time = الوقت
watch-changes = المستويات في آخر 24 ساعة
watch-no-changes = لم يتغيّر أي مستوى.
watch-change-server = الخادم: من المستوى { $before } إلى { $level }
watch-change-space = الحوار: من المستوى { $before } إلى { $level }
