# حوار بالعربية. المفاتيح نفسها في ../en/app.ftl ويقارن بينهما `npm run check`.
# الرسائل التي تبدأ بـ page- أو player- تدخل أيضًا في صفحة الحوار الخفيفة عند البناء (scripts/page.mjs):
# فلا يُسمح فيها إلا بمتغيرات بسيطة ومُنتقٍ واحد في كل رسالة.

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
player-past = الموضع في الحوار
player-past-failed = تعذّر الرجوع إلى هذا الموضع الآن. حاول مجددًا بعد قليل.
player-to-live = العودة إلى البث المباشر

## صفحة الحوار

page-title = { $title } · حوار
page-untitled = حوار
page-live = مباشر
page-scheduled = لم يبدأ بعد
page-ended = انتهى
page-posted = تسجيل
page-speakers = على المنصة
page-speaking = يتحدث الآن
page-muted = الميكروفون مكتوم
page-now = المتحدث الآن: { $name }
page-nobody = لا أحد يتحدث الآن
page-empty-stage = لا أحد على المنصة بعد
page-stage-link = إلى المنصة
page-home = كل الحوارات
page-ended-title = انتهى الحوار
page-replay-preparing = يجري تجهيز التسجيل، وسيظهر هنا تلقائيًا.
page-replay-removed = حُذف التسجيل في { $date }؛ فهذا الخادم يحتفظ بالتسجيلات مدةً محدودة.
page-replay-none = لا يوجد تسجيل لهذا الحوار.
page-replay-play = تشغيل التسجيل
page-replay-pause = إيقاف التسجيل مؤقتًا
page-replay-position = الموضع
page-replay-position-text = { $position } من { $duration }
page-replay-back = رجوع { $seconds } ثانية
page-replay-forward = تقديم { $seconds } ثانية
page-stage-hint = لديك إذن بالصعود إلى منصة هذا الحوار.
page-replay-speed = السرعة
page-replay-download = تنزيل
page-replay-error = تعذّر تشغيل التسجيل. حاول مجددًا بعد قليل.
page-open-elsewhere = فتح في مشغّل آخر
page-speaker-count = { $count ->
    [zero] لا أحد على المنصة
    [one] شخص واحد على المنصة
    [two] شخصان على المنصة
    [few] { $count } أشخاص على المنصة
    [many] { $count } شخصًا على المنصة
   *[other] { $count } شخص على المنصة
}

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
host-audience = من يستطيع الاستماع؟
host-audience-public = الجميع
host-audience-public-hint = يظهر في الصفحة الأولى.
host-audience-unlisted = كل من لديه الرابط
host-audience-unlisted-hint = لا يظهر في أي قائمة.
host-audience-invited = المدعوون فقط
host-audience-invited-hint = برابط دعوة لا غير.
host-recording = سجّل الحوار
host-recording-hint = يُبلَّغ كل من على المنصة بذلك، ويظهر التسجيل بعد النهاية بثوانٍ.
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
stage-waiting-host = لم يبدأ المضيف بعد. ستصعد إلى المنصة تلقائيًا عند البدء.
stage-connecting = جارٍ الاتصال بالمنصة…
stage-on-air = أنت على الهواء
stage-off-air = لا أحد يسمعك بعد
stage-muted = صوتك مكتوم
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
stage-speakers = على المنصة
stage-hear-press = اضغط هنا لتسمع الآخرين
stage-recording = يُسجَّل
stage-recording-off = لا يُسجَّل
stage-recording-paused = توقف التسجيل مؤقتًا، والحوار مستمر.
stage-no-pass-heading = هذا الرابط غير كامل
stage-no-pass = للحديث يلزمك الرابط الكامل الذي أعطاك إياه المضيف. وللاستماع افتح صفحة الحوار.
stage-listen-instead = أستمع فقط
stage-now-live = بدأ الحوار. يسمعك الجمهور الآن.
stage-someone-joined = صعد { $name } إلى المنصة.
stage-someone-left = غادر { $name } المنصة.
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
