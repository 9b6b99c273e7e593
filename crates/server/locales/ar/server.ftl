# ما يقوله الخادم للناس. المفاتيح نفسها في ../en/server.ftl ويقارن بينهما اختبار.

host = المضيف
private-title = حوار بدعوة
page-description-scheduled = حوار سيُسمع هنا.
page-description-cancelled = حوار لن يُعقد.
page-description-live = مباشر الآن: اضغط مرة واحدة واستمع.
page-description-over = حوار انتهى.
page-description-review = حوار انتهى. يُنشر تسجيله هنا بعد أن يراجعه المضيف.
page-description-removed = حوار انتهى. حُذف تسجيله، فهذا الخادم يحتفظ بالتسجيلات مدةً محدودة.
page-description-replay = استمع إلى التسجيل.
noscript-listen = استمع مباشرة دون جافاسكربت:
noscript-replay = استمع إلى التسجيل دون جافاسكربت:
noscript-invited = الحوارات الخاصة بالمدعوين تحتاج إلى جافاسكربت.
noscript-wait = لا تسمع شيئًا؟ اطلب مكانًا وانتظر.
page-listen = استمع
page-replay = التسجيل

status-title = الحالة
status-well = حوار يعمل.
status-paused = القرص ممتلئ: التسجيل متوقف مؤقتًا في { $spaces ->
        [one] حوار واحد
        [two] حوارين
        [few] { $spaces } حوارات
       *[other] { $spaces } حوارًا
    }. البث المباشر مستمر.
status-live = حوارات مباشرة
status-listeners = مستمعون
status-speakers = متحدثون
status-beats = أجزاء صوت متأخرة منذ البدء
status-age = هذه الحالة قبل { $age } ثانية.
status-away = الجزء الذي يعرف الحالة من هذا الخادم يُعاد تشغيله أو لا يجيب. البث مستمر، وقد يكون ما يُقال هنا قد تغيّر.
status-level = المستوى { $level }.
status-since = منذ { $time }.
status-spaces = الحوارات
status-changes = ما تغيّر خلال ٢٤ ساعة
status-no-changes = لا شيء.
status-server = الخادم كله
status-change = من المستوى { $before } إلى { $level }.

ladder-level-0 = من يأتي يدخل فورًا.
ladder-level-1 = من يأتي يدخل خلال دقائق.
ladder-level-2 = من يأتي يدخل خلال دقائق. يصل الصوت في أجزاء أطول، فيسمعه الجميع متأخرًا قليلًا.
ladder-level-3 = من يأتي يدخل خلال دقائق. يصل الصوت بمعدل بت أقل، ولا تُقبل التفاعلات.
ladder-level-4 = من يأتي الآن يسمع البث متأخرًا ثوانيَ عن غيره. ومن يستمع الآن يواصل كما كان.
ladder-level-5 = لا مكان للجميع. من لا يمكن إدخاله خلال نصف ساعة يُخبَر بذلك عند وصوله، وسيكون التسجيل في صفحة الحوار. ومن يستمع الآن يواصل الاستماع.
ladder-why = السبب: { $reasons }.
ladder-reason-late = وصل الصوت متأخرًا إلى بعض المستمعين
ladder-reason-line = خط الإرسال يكاد يمتلئ
ladder-reason-handshakes = يتصل كثيرون جدًا في وقت واحد
ladder-reason-memory = الذاكرة تكاد تمتلئ
ladder-reason-files = لا مكان إلا لاتصالات قليلة أخرى
ladder-reason-crowd = جاء أكثر مما يوجد من أماكن
ladder-reason-operator = قرر ذلك من يدير هذا الخادم

## المشكلات (RFC 9457). المفتاح هو `problem-` ثم الجزء الأخير من النوع.

notice-disk-little = امتلأ قرص هذا الخادم بنسبة { $percent }٪
    .detail = على من يدير الخادم أن يوفّر مساحة أو يفعّل حذف التسجيلات القديمة. ما يُبث الآن مستمر، ولا تُقبل حوارات جديدة حين يكاد القرص يمتلئ.
notice-disk-scarce = قرص هذا الخادم يكاد يمتلئ
    .detail = لا تُقبل حوارات جديدة إلى أن تتوفر مساحة. ما يُبث الآن مستمر، ويتوقف تسجيله مؤقتًا إن امتلأ القرص.

withdrawal-failed = { $reason ->
    [nobody] لم يكن على منصته أحد بهذا المعرّف أو الاسم.
    [several] حمل هذا الاسم أكثر من شخص. اختر أحدهم بمعرّفه: { $why }
   *[other] تعذّر صنعه من جديد: { $why }
}

problem-not-found = لا شيء هنا
    .detail = لا يوجد شيء بهذا العنوان.
problem-method-not-allowed = غير ممكن هنا
    .detail = لا يقبل هذا العنوان هذا النوع من الطلبات.
problem-space-not-found = لا يوجد حوار كهذا
    .detail = لا يوجد حوار بهذا المعرّف.
problem-session-not-found = لا توجد جلسة كهذه
    .detail = انتهت هذه الجلسة أو لم تكن. اتصل من جديد.
problem-pass-missing = يلزم إذن
    .detail = أرسل الإذن الذي في رابطك ضمن ترويسة Authorization بصيغة Bearer.
problem-pass-invalid = الإذن غير صالح
    .detail = الرابط ناقص أو من خادم آخر. اطلب رابطًا جديدًا.
problem-pass-expired = انتهت صلاحية الإذن
    .detail = اطلب من المضيف رابطًا جديدًا.
problem-pass-wrong-space = الإذن لحوار آخر
    .detail = افتح الرابط الذي وصلك لهذا الحوار.
problem-pass-not-enough = الإذن لا يسمح بهذا
    .detail = يتيح لك رابطك أشياء أخرى هنا. اسأل المضيف.
problem-body-too-large = أكبر من المسموح
    .detail = حجم الطلب { $limit } كيبي بايت على الأكثر.
problem-media-type = نوع محتوى غير صحيح
    .detail = يقبل هذا العنوان { $expected }.
problem-malformed = تعذّر فهم الطلب
    .detail = المحتوى ليس مما يقبله هذا العنوان. انظر ‎/api/openapi.json.
problem-title-empty = العنوان ناقص
    .detail = أعط الحوار عنوانًا فيه حرف ظاهر واحد على الأقل.
problem-title-too-long = العنوان طويل
    .detail = أقصى طول للعنوان { $limit } حرف.
problem-name-empty = الاسم ناقص
    .detail = اكتب اسمًا فيه حرف ظاهر واحد على الأقل.
problem-name-too-long = الاسم طويل
    .detail = أقصى طول للاسم { $limit } بايت، أي نحو ٣٠ حرفًا عربيًا.
problem-language-unknown = ليست لغة
    .detail = اكتب رمز لغة مثل ar أو en أو ar-EG.
problem-cadence-unknown = ليست مدة بين إرسالين
    .detail = اكتب cadence_ms بالمللي ثانية: 200 أو 400 أو 1000 أو 2000 أو 4000، أو null ليختارها الخادم.
problem-bitrate-unknown = ليس معدل بت
    .detail = اكتب bitrate_kbps بالكيلوبت في الثانية: 32 أو 16، أو null ليختاره الخادم.
problem-order-unknown = أمر لا يمكن إعطاؤه
    .detail = اكتب pin وcap مستوى من 0 إلى 5، وpanic بقيمة 4 أو 5، وplaces من 0 إلى 10,000,000، أو null لرفع الأمر؛ وminutes من 1 إلى 10,080، وby بما لا يزيد على 64 حرفًا وwhy على 300.
problem-no-doors = لا أبواب هنا
    .detail = يمكن تغيير عدد من يستمعون حيث أُعدّت الأبواب: أضف قسم [door] وفيه places ثم أعد تشغيل الخدمة.
problem-already-started = مباشر بالفعل
    .detail = بدأ الحوار، ولا يبدأ إلا مرة واحدة.
problem-not-started = لم يبدأ بعد
    .detail = لم يبدأ الحوار. حاول مرة أخرى حين يبدأه المضيف.
problem-already-ended = انتهى بالفعل
    .detail = انتهى الحوار. أنشئ حوارًا جديدًا لمتابعة الحديث.
problem-still-live = ما زال مباشرًا
    .detail = أنهِ الحوار قبل حذف تسجيله.
problem-no-recording = لا يوجد تسجيل
    .detail = لم يُسجَّل الحوار، أو حُذف تسجيله.
problem-no-tracks = لا يمكن سحب أحد من هذا التسجيل
    .detail = لم يُحفظ مسار صوتي لكل متحدث (كان tracks معطّلًا عند إنشاء الحوار). لا يمكن إلا حذف التسجيل كله.
problem-hold-music-refused = لا يمكن إسماع هذا لمن ينتظر
    .detail = { $reason ->
        [not-wav] هذا ليس ملف WAV، أو أنه ناقص.
        [samples] يجب أن تكون عيّناته أعدادًا صحيحة من ١٦ أو ٢٤ بتًا، أو أعدادًا عشرية من ٣٢ بتًا.
        [rate] يجب أن يكون تردده بين ٨ و٩٦ كيلوهرتز.
        [channels] يجب أن يكون أحاديًّا أو مجسّمًا (قناة أو قناتين).
        [long] مدته { $limit } دقائق على الأكثر، فهو يُعاد مرة بعد مرة.
        [short] مدته ثانية على الأقل.
        [silent] ليس فيه ما يُسمع.
        [large] حجم الملف أكبر من ٢٠ ميغابايت.
       *[other] تعذّر استعماله.
    }
problem-hold-music-full = حوارات كثيرة لها موسيقى انتظار
    .detail = يحفظ هذا الخادم الموسيقى لما عدده { $limit } من الحوارات التي لم تبدأ بعد. حاول مرة أخرى حين يبدأ بعضها.
problem-replay-in-the-making = يجري تجهيز التسجيل
    .detail = حاول مرة أخرى بعد ثوانٍ قليلة.
problem-not-in-review = هذا التسجيل لا ينتظر مراجعتك
    .detail = نُشر من قبل، أو تعذّر إعداده.
problem-outside-recording = التسجيل أقصر من ذلك
    .detail = اختر بداية ونهاية تقعان داخل التسجيل.
problem-too-short = لن يبقى إلا القليل جدًا
    .detail = أبقِ ثانية واحدة على الأقل، واجعل النهاية بعد البداية.
problem-stage-full = المنصة ممتلئة
    .detail = كل أماكن المنصة مشغولة، وعددها { $limit }. حاول حين يغادر أحدهم.
problem-wings-full = الكواليس ممتلئة
    .detail = أقصى من ينتظرون متصلين إلى أن يوافقوا { $limit }. وافق على التسجيل أولًا، ثم اتصل.
problem-spaces-full = حوارات كثيرة
    .detail = أقصى ما يحفظه هذا الخادم { $limit } حوار.
problem-subscribers-full = متابعون كثيرون
    .detail = حاول مرة أخرى بعد ثوانٍ قليلة.
problem-offer-malformed = العرض ليس SDP صالحًا
    .detail = { $line ->
        [0] تعذّرت قراءته.
       *[other] تعذّرت قراءة السطر { $line } في موضعه.
    }
problem-offer-refused = تعذّر قبول العرض
    .detail = { $reason ->
        [video] المنصة للأصوات فقط: اعرض قسم صوت واحدًا بلا صورة.
        [no-audio] لا يوجد قسم صوت.
        [many-media] يوجد أكثر من قسم صوت، أو وسائط من نوع غير معروف.
        [not-sending] يجب أن يكون الصوت sendonly أو sendrecv.
        [not-secure] يجب أن يكون الصوت UDP/TLS/RTP/SAVPF.
        [no-opus] يجب أن يعرض الصوت Opus ‏(opus/48000/2).
        [no-rtcp-mux] يجب أن يعرض الصوت rtcp-mux.
        [no-bundle] يجب أن تكون كل الأقسام في مجموعة BUNDLE واحدة.
        [no-ice-credentials] يلزم زوج صالح واحد من ice-ufrag و ice-pwd.
        [ice-lite] لا يجوز أن يكون العميل ICE-lite لأن الخادم كذلك.
        [no-fingerprint] تلزم بصمة sha-256.
        [bad-mid] يلزم لكل قسم mid خاص به صالح الصيغة.
        [bad-setup] يجب أن يكون setup واحدًا من actpass و active و passive.
       *[other] تعذّر استعماله.
    }
problem-if-match-missing = تنقص ترويسة If-Match
    .detail = أرسل ETag الجلسة، أو "*" لإعادة ICE.
problem-if-match-stale = تغيّرت الجلسة
    .detail = لها ETag أحدث. أعد ICE مع If-Match: "*".
problem-fragment-malformed = الجزء غير صالح
    .detail = { $line ->
        [0] تعذّرت قراءته.
       *[other] تعذّرت قراءة السطر { $line } في موضعه.
    }
problem-fragment-refused = تعذّر قبول الجزء
    .detail = { $reason ->
        [no-credentials] يلزم زوج صالح واحد من ice-ufrag و ice-pwd.
        [many-credentials] يوجد أكثر من زوج من ice-ufrag و ice-pwd.
        [half-restart] إعادة ICE تغيّر ice-ufrag و ice-pwd معًا.
        [too-many-candidates] المرشحون كثيرون.
       *[other] تعذّر استعماله.
    }
problem-rehearsal-refused = لا تجربة بهذا الإذن
    .detail = { $reason ->
        [expired] انتهت صلاحية إذن التجربة. اطلب إذنًا جديدًا ممن يدير هذا الخادم: hiwar admin rehearsal-grant.
        [elsewhere] إذن التجربة لعنوان ليس من عناوين هذا الخادم. اطلب إذنًا خاصًا به ممن يديره: hiwar admin rehearsal-grant.
       *[other] تعذّر استعماله.
    }
problem-format-unknown = بصيغة JSON فقط
    .detail = الإجابة هنا بصيغة JSON وحدها: احذف المعامل format أو اجعله format=json.
problem-unavailable = نعود بعد لحظات
    .detail = جزء من الخدمة مشغول أو يُعاد تشغيله. حاول بعد ثوانٍ قليلة.
problem-disk-full = قرص هذا الخادم يكاد يمتلئ
    .detail = لا تُقبل حوارات جديدة إلى أن يوفّر من يدير الخادم مساحة. الحوارات الجارية مستمرة.
problem-storage = القرص ممتلئ
    .detail = تعذّر الحفظ. على من يدير هذا الخادم أن ينظر في قرصه.
problem-not-host = هذا للمضيف وحده
    .detail = اطلبه من المضيف، أو ليُسلّمك الاستضافة.
problem-not-co-host = هذا للمضيفين وحدهم
    .detail = يفعله المضيف أو مضيف مشارك. اطلبه من أحدهم.
problem-not-themselves = هذا لصاحبه وحده
    .detail = لا أحد يفتح ميكروفون غيره أو يمسّ اتصاله. اطلبه منه.
problem-not-below = لا يُفعل هذا بمضيف
    .detail = لا يملك المضيف المشارك هذا على المضيف ولا على مضيف مشارك آخر ولا على نفسه.
problem-doors-shut = لم تُفتح الأبواب بعد
    .detail = عُد حين تُفتح؛ وصفحة الحوار تقول متى.
problem-cancelled = أُلغي
    .detail = لن يُعقد هذا الحوار.
problem-time-malformed = ليس وقتًا
    .detail = اكتب الوقت كما في RFC 3339، مثل 2026-12-01T20:00:00+03:00.
problem-in-the-past = هذا الوقت مضى
    .detail = اختر وقتًا لم يأتِ بعد.
problem-too-far-ahead = هذا الوقت بعيد جدًا
    .detail = اختر وقتًا ضمن { $limit } يومًا القادمة.
problem-doors-too-early = الأبواب ستُفتح مبكرًا جدًا
    .detail = تُفتح قبل البداية بـ { $limit } دقيقة على الأكثر.
problem-reason-too-long = السبب طويل جدًا
    .detail = لا يزيد السبب على { $limit } حرفًا.
problem-stage-locked = المنصة مقفلة
    .detail = لا يصعد إلا من دعاه مضيف. ارفع يدك من صفحة الحوار.
problem-co-hosts-full = اكتمل المضيفون المشاركون
    .detail = لا يزيدون على { $limit }. أعد أحدهم متحدثًا أولًا.
problem-people-full = أُبعد ناس كثيرون
    .detail = يتذكر الحوار { $limit } شخصًا على الأكثر. اعفُ عن بعض من أُبعدوا.
problem-not-on-stage = ليس على المنصة
    .detail = هذا الشخص ليس على المنصة الآن.
problem-already-on-stage = على المنصة أصلًا
    .detail = هذا الشخص على المنصة أو دُعي إليها.
problem-not-called = لم تُدعَ إلى المنصة
    .detail = ارفع يدك، واصعد حين يدعوك مضيف. تنتظر الدعوة دقيقة.
problem-not-agreed = هذا الحوار يُسجَّل
    .detail = قل أولًا إنك تعلم أن الحوار يُسجَّل.
problem-removed = أُبعدت عن المنصة
    .detail = أبعدك أحد المضيفين. ويمكنك مواصلة الاستماع.
problem-blocked = حُظرت
    .detail = حظرك أحد المضيفين في هذا الحوار.
problem-not-removed = لم يُبعد ولم يُحظر
    .detail = لا شيء يُتراجع عنه.
problem-asking-closed = لا يُطلب الكلام الآن
    .detail = لا يستقبل المضيفون الأيدي في هذه اللحظة.
problem-hands-full = كثيرون يطلبون الكلام
    .detail = { $limit } يدًا مرفوعة. حاول حين يُدعى بعضهم.
problem-no-hand = لا يد مرفوعة
    .detail = هذا الشخص لا يطلب الكلام.
problem-participant-unknown = لا أحد بهذا المعرّف
    .detail = لا يعرف هذا الحوار أحدًا بهذا المعرّف.

# `hiwar draw verify`: ما يثبت مما قاله الخادم عن قرعة.
draw-unreadable = تعذرت قراءة { $file }: { $why }
draw-none = ‏{ $file } ليس سجل قرعة.
draw-of = القرعة { $opening } للحوار { $space }: عدد التذاكر المقترَع عليها { $drawn }، والمذكور منها في السجل { $listed }، وعدد الشبكات { $networks }.
draw-vouched = ومنها بتزكية الخادم { $followers } لمتابعي المضيف و{ $earlier } لمن استمعوا إلى حوار سابق: يُقترع على كل فئة وحدها، ولكل فئة نصيبها من الرتب ما دام أحدٌ منها ينتظر. ولا يُعرف من السجل هل صدقت التزكية.
draw-late = وجاءت { $tickets } تذكرة أخرى لحظةَ جمع الأعداد، ولكلٍّ منها رتبتها بين غيرها. ولا يمكن التحقق من أنها مدرجة كلها.
draw-timed = حُدد الموعد فورًا لأول { $timed }. وليس لشبكة واحدة أكثر من { $most } تذكرة في الجولة الأولى.
draw-holds-seal = صحيح: السجل مختوم بالمفتاح { $key }.
draw-fails-seal = غير صحيح: عُدّل السجل بعد ختمه، أو الختم مزوّر.
draw-fails-key = غير صحيح: السجل مختوم بمفتاح غير الذي أعطيته: { $key }.
draw-holds-commitment = صحيح: السر هو ما تعهد به الخادم مسبقًا: { $commitment }.
draw-fails-commitment = غير صحيح: السر ليس ما تعهد به الخادم.
draw-fails-promised = غير صحيح: ليس هذا هو التعهد الذي قرأته قبل القرعة. التعهد المذكور في السجل: { $commitment }.
draw-holds-order = صحيح: أُعيد الاقتراع للجميع، والترتيب يوافق القرعة.
draw-fails-order = غير صحيح: بعضهم ليس حيث وضعته القرعة.
draw-holds-counts = صحيح: الأعداد التي حُسبت منها الرتب هي أعداد التذاكر المذكورة في السجل.
draw-fails-workers = غير صحيح: تقول العمليات إنها اقترعت على { $tickets } تذكرة، والأعداد تقول غير ذلك.
draw-fails-surplus = غير صحيح: في السجل { $tickets } تذكرة لم تُحسب في موضعها.
draw-fails-unlisted = لا يظهر: حُسبت { $tickets } تذكرة ولم تُذكر في السجل، فلا يُعرف هل كان الاقتراع عليها عادلًا.
draw-ticket = تذكرتك في السجل: رتبتها { $rank }، وموعد مكانها بعد القرعة بـ{ $seconds } ثانية.
draw-ticket-untimed = تذكرتك في السجل: رتبتها { $rank }، ولم يكن موعد مكانها معروفًا بعد.
draw-ticket-none = تذكرتك ليست في هذا السجل.
draw-ticket-other = تذكرتك من القرعة { $opening }، وهذا سجل قرعة أخرى.
draw-ticket-bad = ما أعطيته ليس تذكرة.
draw-whole = السجل كله صحيح.
draw-not-whole = ليس كل ما في السجل صحيحًا.

# `hiwar door`: يوميات الباب والصفحة المرافقة لها.
diary-none = لا يوميات للحوار { $space }: لم يكن له باب، أو لم يأتِ أحد بعد.
diary-made = أُنشئ { $lines } و{ $page }.
diary-unreadable = تعذرت قراءة { $file }: { $why }
diary-key = مختومة بالمفتاح { $key }.
diary-other-key = غير صحيح: اليوميات مختومة بمفتاح غير الذي أعطيته.
diary-fault = السطر { $line }: { $what }
diary-fault-unreadable = ليس من أسطر اليوميات.
diary-fault-broken = لا يتصل بالسطر الذي قبله: شيء عُدّل هناك أو حُذف أو أُضيف.
diary-fault-unsealed = ختمه ليس ختم الخادم.
diary-fault-foreign = من حوار آخر أو من خادم آخر.
diary-fault-number = رقمه ليس الرقم التالي.
diary-fault-early = يبدأ قبل نهاية الذي قبله.
diary-fault-version = ليست فيه حقول الإصدار الذي بدأ به ملفه.
diary-fault-newer = ملفه من إصدار أحدث: تحقق منه ببرنامج أحدث.
diary-more = و{ $faults } غيرها.
diary-before = عدد الدقائق التي سبقت أول هذا الملف وليست فيه: { $minutes }.
diary-untold = عدد الثواني التي لا تدوين لها بين الدقائق: { $seconds }. لم يكن الخادم يعمل، أو كان الباب مغلقًا.
diary-whole = اليوميات كلها صحيحة: عدد الدقائق { $minutes }، لم يُعدَّل منها شيء ولم يُضَف إليها ولم يُحذف من بينها.
diary-not-whole = ليس كل ما في اليوميات صحيحًا.
diary-title = يوميات الباب: { $space }
diary-about = ما جرى عند باب هذا الحوار دقيقةً بدقيقة. في الملف المرافق كل الأرقام مختومةً من الخادم ومتسلسلةً سطرًا بسطر، ويبيّن الأمر hiwar door verify هل عُدّل شيء منها. لا عناوين شبكة فيها.
diary-plot = الطلبات في كل دقيقة (الخط)، ومن في الداخل (المساحة)
diary-peak = أكثر الطلبات كانت في الدقيقة { $time }: عددها { $asked }، ومعها من التذاكر الجديدة { $tickets }.
diary-people = من التذاكر التي عُدّت كان { $first } ٪ أول تذكرة لعنوانها أو ثانيتها، و{ $many } ٪ السابعة عشرة أو ما بعدها. إذا جاء ناس كثيرون كبر الرقم الأول، وإذا ألحّ قليلون كبر الثاني.
diary-spread = في أشد الدقائق تركزًا جاء { $part } ٪ من الطلبات من جزء واحد من أربعة وستين جزءًا من العناوين. أما الجمهور فيتوزع بالتساوي: نحو 2 ٪ لكل جزء.
diary-head-time = الدقيقة (UTC)
diary-head-asked = الطلبات
diary-head-tickets = تذاكر جديدة
diary-head-entered = دخلوا
diary-head-kept = في موعدهم
diary-head-late = بعد موعدهم
diary-head-inside = في الداخل
diary-head-waiting = ينتظرون
diary-head-away = صُرفوا
diary-head-first = أولى العنوان أو ثانيته
diary-head-part = أكبر جزء
diary-head-level = المستوى
diary-head-notes = ملاحظات
diary-note-drawing = كانت القرعة جارية
diary-note-queue = كان هناك طابور
diary-note-house = بدأ الخادم من جديد، وما جرى قبيل ذلك غير مدوَّن
diary-note-workers = عمليات بدأت أو انتهت: { $count }
diary-note-mended = لم يكتمل السطر السابق
