# ما يقوله مشغّل التسجيل (src/ear)، والمشغّل في صفحات الآخرين (src/embed). المفاتيح نفسها في ../en/ear.ftl.
# تدخل عند البناء في نصيهما البرمجيين: فلا يُسمح فيها إلا بمتغيرات بسيطة ومُنتقٍ واحد في كل رسالة.

## مشغّل التسجيل

ear-next = المتحدث التالي
ear-previous = المتحدث السابق
ear-chapters = من يتحدث ومتى
ear-moment = رابط هذه اللحظة
ear-moment-hint = من يفتح هذا الرابط يبدأ من هنا.
ear-clip = اقتطاع مقطع
ear-clip-hint = حتى ٩٠ ثانية، رابطًا أو ملفًا.
ear-clip-from = من
ear-clip-to = إلى
ear-clip-here = الآن
ear-clip-length = المدة { $length }
ear-clip-link = رابط المقطع
ear-clip-play = فتح المقطع
ear-clip-off = لم يسمح المضيف باقتطاع مقاطع من هذا الحوار.
ear-copy = نسخ
ear-copied = نُسخ.
ear-copy-by-hand = انسخ الرابط المظلَّل بنفسك.

## المشغّل في صفحات أخرى

embed-play = استمع
embed-pause = إيقاف مؤقت
embed-live = مباشر
embed-scheduled = لم يبدأ بعد
embed-over = انتهى الحوار.
embed-replay = تسجيل
embed-position = الموضع
embed-position-text = { $position } من { $duration }
embed-invited = هذا الحوار بدعوة فقط.
embed-missing = لا يوجد حوار بهذا العنوان.
embed-trouble = تعذّر الاستماع الآن. اضغط لإعادة المحاولة.
embed-wait = الحاضرون أكثر مما يمكن أن يستمع معًا. أبقِ هذه الصفحة مفتوحة، وسيُطلب لك مكان مجددًا من تلقاء نفسه. المتبقي تقريبًا: { $left }.
embed-page = فتح صفحة الحوار
